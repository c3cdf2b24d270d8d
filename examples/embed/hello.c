/* Stream a completion: hello MODEL.gguf "Once upon a time" */
#include <loam/loam.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    loam *m = NULL;
    loam_seq seq = 0;
    loam_token tokens[512], t;
    loam_stream stream;
    char text[256];
    size_t n;

    if (argc != 3) return 2;
    setvbuf(stdout, NULL, _IONBF, 0);
    loam_stream_init(&stream);
    if (loam_load(argv[1], NULL, &m)) goto end;
    if (loam_tokenize(m, argv[2], strlen(argv[2]), LOAM_TOKENIZE_SPECIAL, tokens, 512, &n))
        goto end;
    if (loam_prefill(m, seq, tokens, n)) goto end;
    for (int i = 0; i < 64 && !loam_sample(m, seq, &t) && !loam_token_is_end(m, t); i++) {
        if (loam_stream_push(m, &stream, t, text, sizeof text, &n)) break;
        fwrite(text, 1, n, stdout);
        if (loam_decode(m, &seq, &t, 1)) break;
    }
end:
    puts(loam_error(m)); /* "" when all went well */
    loam_free(m);
    return 0;
}

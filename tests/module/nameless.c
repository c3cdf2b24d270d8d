/* A shared object that is no module. */
extern int loam_backend_of_nothing;
int loam_backend_of_nothing;

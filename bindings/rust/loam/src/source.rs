//! Where a model's bytes come from.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Mutex, PoisonError};

/// A model's bytes when they are not a file that loam can map: read through the program, or in
/// memory. For [`Builder::load_source`](crate::Builder::load_source).
///
/// `Mutex<T>` is one for every `T` that reads and seeks, [`Bytes`] for every `T` that has its bytes
/// in memory.
pub trait Source: Send + Sync {
    /// How many bytes there are.
    ///
    /// # Errors
    /// Loading fails with [`Error::Io`](crate::Error::Io), and the text of this error in the sentence.
    fn size(&self) -> io::Result<u64>;

    /// Fill the buffer with the bytes from that offset on.
    ///
    /// # Errors
    /// As [`size`](Self::size). So it is when this panics: the panic ends here.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// All bytes, where they lie in memory: then nothing is copied or read.
    fn bytes(&self) -> Option<&[u8]> {
        None
    }
}

impl<T: Read + Seek + Send> Source for Mutex<T> {
    fn size(&self) -> io::Result<u64> {
        self.lock().unwrap_or_else(PoisonError::into_inner).seek(SeekFrom::End(0))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut inside = self.lock().unwrap_or_else(PoisonError::into_inner);
        inside.seek(SeekFrom::Start(offset))?;
        inside.read_exact(buffer)
    }
}

#[cfg(unix)]
impl Source for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }
}

/// Bytes in memory, of a vector, an array, a map of a file, or whatever else lends them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bytes<T>(pub T);

impl<T: AsRef<[u8]> + Send + Sync> Source for Bytes<T> {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.as_ref().len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(offset).ok();
        let part = from.and_then(|from| self.0.as_ref().get(from..)?.get(..buffer.len()));
        buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn bytes(&self) -> Option<&[u8]> {
        Some(self.0.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_give_the_bytes_from_an_offset() {
        let bytes: Vec<u8> = (0..100).collect();
        let sources: [Box<dyn Source>; 2] =
            [Box::new(Bytes(bytes.clone())), Box::new(Mutex::new(io::Cursor::new(bytes)))];
        for source in sources {
            let mut part = [0; 3];
            assert_eq!(source.size().unwrap(), 100);
            source.read_at(97, &mut part).unwrap();
            assert_eq!(part, [97, 98, 99]);
            for beyond in [98, u64::MAX] {
                assert!(source.read_at(beyond, &mut part).is_err());
            }
        }
    }
}

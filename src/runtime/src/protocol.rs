//! Messages between the parent and the child that hosts the vendor's runtime: little-endian, each a byte count and that
//! many bytes, over one socket.

use std::io::{self, Read, Write};

/// Longest message: a bound against a child that has lost its mind.
const LIMIT: u64 = 1 << 34;

pub fn send(stream: &mut impl Write, message: &[u8]) -> io::Result<()> {
    stream.write_all(&(message.len() as u64).to_le_bytes())?;
    stream.write_all(message)?;
    stream.flush()
}

/// The next message; `None` when the other side has closed.
pub fn receive(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0u8; 8];
    match stream.read_exact(&mut length) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(e),
    }
    let length = u64::from_le_bytes(length);
    if length > LIMIT {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("message of {length} bytes")));
    }
    let mut message = Vec::new();
    stream.take(length).read_to_end(&mut message)?;
    if message.len() as u64 != length {
        return Ok(None);
    }
    Ok(Some(message))
}

/// Puts values into a message.
#[derive(Default)]
pub struct Encoder(pub Vec<u8>);

impl Encoder {
    pub fn number(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.number(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    pub fn shape(&mut self, shape: &[usize]) -> &mut Self {
        self.number(shape.len() as u64);
        shape.iter().fold(self, |e, &d| e.number(d as u64))
    }
}

/// Takes values out of a message.
pub struct Decoder<'a>(pub &'a [u8]);

impl<'a> Decoder<'a> {
    fn cut(&self) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, "message is cut off")
    }

    pub fn number(&mut self) -> io::Result<u64> {
        let (head, rest) = self.0.split_first_chunk::<8>().ok_or_else(|| self.cut())?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*head))
    }

    pub fn bytes(&mut self) -> io::Result<&'a [u8]> {
        let length = usize::try_from(self.number()?).map_err(|_| self.cut())?;
        let (head, rest) = self.0.split_at_checked(length).ok_or_else(|| self.cut())?;
        self.0 = rest;
        Ok(head)
    }

    pub fn text(&mut self) -> io::Result<String> {
        Ok(String::from_utf8_lossy(self.bytes()?).into_owned())
    }

    pub fn shape(&mut self) -> io::Result<Vec<usize>> {
        let rank = self.number()?;
        (0..rank).map(|_| Ok(self.number()? as usize)).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn messages_round_trip_and_cuts_are_noticed() {
        let mut e = Encoder::default();
        e.number(7).bytes(b"abc").shape(&[1, 2]);
        let mut wire = Vec::new();
        send(&mut wire, &e.0).unwrap();
        let back = receive(&mut &wire[..]).unwrap().unwrap();
        let mut d = Decoder(&back);
        assert_eq!((d.number().unwrap(), d.bytes().unwrap(), d.shape().unwrap()), (7, &b"abc"[..], vec![1, 2]));
        assert!(d.number().is_err());
        assert_eq!(receive(&mut &wire[..wire.len() - 1]).unwrap(), None);
        assert_eq!(receive(&mut &[][..]).unwrap(), None);
        assert!(receive(&mut &[0xFF; 8][..]).is_err());
    }
}

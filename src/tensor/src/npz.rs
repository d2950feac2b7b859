//! NumPy's `.npy` and `.npz` files.
//!
//! Reading accepts format versions 1 to 3, little and big endian, C and Fortran order, stored and deflated members. Sizes
//! are checked against the bytes that are there, so that a hostile header cannot make us allocate. Writing makes
//! version 1.0 members, stored, in a zip archive with fixed time stamps: the same tensors give the same bytes.

use crate::dtype::DType;
use crate::file::{self, FileError};
use crate::tensor::{Data, Tensor};
use rayon::prelude::*;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// What every npy file starts with.
pub const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Reads one `.npy` file.
pub fn read_npy(path: &Path) -> Result<Tensor, FileError> {
    let bytes = file::read(path)?;
    parse_npy(&bytes).map_err(|e| FileError::new(path, e))
}

/// Reads every array of an `.npz` file, in file order.
pub fn read_npz(path: &Path) -> Result<Vec<(String, Tensor)>, FileError> {
    let open = || -> io::Result<_> {
        let file = std::fs::File::open(path)?;
        let found = file.metadata()?;
        Ok((file, found))
    };
    let (file, found) = open().map_err(|e| FileError::new(path, file::io_reason(&e)))?;
    // A pipe has no places, and a folder says what it is when it is read.
    if !found.is_file() {
        return parse_npz(&file::read(path)?).map_err(|e| FileError::new(path, e));
    }
    arrays(&Opened { file, length: found.len() }).map_err(|e| FileError::new(path, e))
}

/// The arrays of an npz archive held in memory.
pub fn parse_npz(bytes: &[u8]) -> Result<Vec<(String, Tensor)>, String> {
    arrays(bytes)
}

/// Archives that unpack to no more than this are unpacked without a look at the memory that is free.
const ALWAYS_FITS: u64 = 1 << 30;

/// The arrays of an archive. Members that are stored as they are go straight into their tensors, several at a time.
fn arrays(archive: &(impl Places + ?Sized)) -> Result<Vec<(String, Tensor)>, String> {
    let members = members(archive)?;
    let array = |member: &Member| {
        let tensor = match &member.content {
            Content::Unpacked(bytes) => parse_npy(bytes),
            Content::Stored { start, length, checksum } => stored_npy(archive, *start, *length, *checksum),
        };
        let key = member.name.strip_suffix(".npy").unwrap_or(&member.name).to_owned();
        Ok((key, tensor.map_err(|e| format!("npz member '{}': {e}", member.name))?))
    };
    // Of several errors the first is told.
    let arrays: Vec<Result<_, String>> = members.par_iter().with_max_len(1).map(array).collect();
    arrays.into_iter().collect()
}

/// A file in an archive.
struct Member {
    name: String,
    content: Content,
}

enum Content {
    /// As it is, at a place of the archive.
    Stored { start: u64, length: u64, checksum: u32 },
    Unpacked(Vec<u8>),
}

fn members(places: &(impl Places + ?Sized)) -> Result<Vec<Member>, String> {
    let mut archive = zip::ZipArchive::new(Reader::of(places)).map_err(|e| format!("not an npz file: {e}"))?;
    let mut members = Vec::new();
    let mut total = 0u64;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|e| format!("npz member {index}: {e}"))?;
        let name = entry.name().map_err(|e| format!("npz member {index}: {e}"))?.into_owned();
        let declared = entry.size();
        total = total.saturating_add(declared);
        // Deflate cannot shrink by more than about 1032 to 1; a larger claim is a lie (or members share their bytes).
        if total / 1100 > places.length() {
            return Err(format!("npz member '{name}': claims {declared} bytes, more than the file can hold"));
        }
        if total > ALWAYS_FITS && file::available_memory().is_some_and(|free| total > free) {
            return Err(format!("its arrays take {total} bytes or more, which this machine does not have free"));
        }
        let plain = entry.compression() == zip::CompressionMethod::Stored && !entry.encrypted() && entry.compressed_size() == declared;
        let content = match entry.data_start().filter(|_| plain) {
            Some(start) => Content::Stored { start, length: declared, checksum: entry.crc32() },
            None => {
                let mut content = Vec::new();
                content.try_reserve_exact(declared as usize).map_err(|_| format!("npz member '{name}': no memory for {declared} bytes"))?;
                entry.take(declared + 1).read_to_end(&mut content).map_err(|e| format!("npz member '{name}': {e}"))?;
                Content::Unpacked(content)
            }
        };
        members.push(Member { name, content });
    }
    Ok(members)
}

/// An array that lies in an archive as it is.
fn stored_npy(archive: &(impl Places + ?Sized), start: u64, length: u64, checksum: u32) -> Result<Tensor, String> {
    let read = |at: u64, into: &mut [u8]| archive.read_at(at, into).map_err(|e| file::io_reason(&e));
    if start.checked_add(length).is_none_or(|end| end > archive.length()) {
        return Err("is cut off".into());
    }
    let mut head = vec![0; length.min(MOST_OF_A_PREAMBLE as u64) as usize];
    read(start, &mut head)?;
    let (text, end) = header_text(&head)?;
    head.resize(length.min(end as u64) as usize, 0);
    read(start, &mut head)?;
    let header = header(&head, text..end)?;
    let direct = !header.swap && (!header.fortran || header.shape.len() < 2);
    let elements = start + header.length as u64;
    let found = (length - (header.length as u64).min(length)) as usize;
    if !direct || found != header.bytes()? {
        let mut content = vec![0; length as usize];
        read(start, &mut content)?;
        check(crc32fast::hash(&content), checksum)?;
        return parse_npy(&content);
    }
    let mut crc = crc32fast::Hasher::new();
    crc.update(&head[..header.length]);
    let data = Data::filled(header.dtype, found / header.dtype.size(), |bytes| {
        // In pieces that stay in the cache until they are summed up.
        let sum = |(index, piece): (usize, &mut [u8])| {
            read(elements + (index * PIECE) as u64, piece)?;
            let mut crc = crc32fast::Hasher::new();
            crc.update(piece);
            Ok(crc)
        };
        let sums: Vec<Result<_, String>> = match bytes.len() <= PIECE {
            true => bytes.chunks_mut(PIECE).enumerate().map(sum).collect(),
            false => bytes.par_chunks_mut(PIECE).enumerate().map(sum).collect(),
        };
        sums.into_iter().try_for_each(|sum| sum.map(|sum| crc.combine(&sum)))
    })?;
    check(crc.finalize(), checksum)?;
    Tensor::new(&header.shape, data).map_err(|e| e.to_string())
}

/// Bytes that are read at a time.
const PIECE: usize = 1 << 18;

fn check(found: u32, checksum: u32) -> Result<(), String> {
    if found == checksum { Ok(()) } else { Err("its checksum is wrong: the file is damaged".into()) }
}

/// Bytes that can be read from any place, by several threads.
trait Places: Sync {
    fn length(&self) -> u64;

    /// Fills `into` with the bytes from `at` on.
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()>;
}

impl Places for [u8] {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let end = usize::try_from(at).ok().and_then(|at| Some(at..at.checked_add(into.len())?));
        into.copy_from_slice(end.and_then(|range| self.get(range)).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

struct Opened {
    file: std::fs::File,
    length: u64,
}

impl Places for Opened {
    fn length(&self) -> u64 {
        self.length
    }

    #[cfg(unix)]
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, into, at)
    }
}

/// Reads one byte after the other, with some of them put right.
struct Reader<'a, P: ?Sized> {
    places: &'a P,
    at: u64,
    right: Vec<(u64, [u8; 8])>,
}

impl<'a, P: Places + ?Sized> Reader<'a, P> {
    /// TPU-MLIR's weight files end in a zip64 record that claims a wrong length, behind a locator that points to a wrong place.
    /// Readers that look at these (ours, but not Python's) refuse the archive, so both are put right.
    fn of(places: &'a P) -> BufReader<Reader<'a, P>> {
        const END: u64 = 22;
        const LOCATOR: u64 = 20;
        const RECORD: u64 = 56;
        let mut reader = Reader { places, at: 0, right: Vec::new() };
        let is = |at: u64, signature: &[u8; 4]| {
            let mut found = [0; 4];
            places.read_at(at, &mut found).is_ok() && found == *signature
        };
        if let Some(record) = places.length().checked_sub(RECORD + LOCATOR + END) {
            let locator = record + RECORD;
            if is(record, b"PK\x06\x06") && is(locator, b"PK\x06\x07") {
                // A record's length does not count its first 12 bytes.
                reader.right = vec![(record + 4, (RECORD - 12).to_le_bytes()), (locator + 8, record.to_le_bytes())];
            }
        }
        BufReader::new(reader)
    }
}

impl<P: Places + ?Sized> Read for Reader<'_, P> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.places.length().saturating_sub(self.at).min(into.len() as u64) as usize;
        let into = &mut into[..count];
        self.places.read_at(self.at, into)?;
        for (place, bytes) in &self.right {
            for (byte, at) in bytes.iter().zip(*place..) {
                if let Some(found) = at.checked_sub(self.at).and_then(|i| into.get_mut(i as usize)) {
                    *found = *byte;
                }
            }
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl<P: Places + ?Sized> Seek for Reader<'_, P> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.places.length().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// What stands before the elements of an array.
struct Header {
    shape: Vec<usize>,
    dtype: DType,
    /// The elements' bytes stand the other way round.
    swap: bool,
    fortran: bool,
    /// Bytes before the first element.
    length: usize,
}

impl Header {
    /// Bytes of all elements.
    fn bytes(&self) -> Result<usize, String> {
        let count = self.shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
        count.and_then(|c| c.checked_mul(self.dtype.size())).ok_or_else(|| format!("npy shape {:?} is too large", self.shape))
    }
}

/// Bytes in front of a header's text, in the version that has most.
const MOST_OF_A_PREAMBLE: usize = 12;

/// Where the text of the header at the beginning of an array begins and ends.
fn header_text(bytes: &[u8]) -> Result<(usize, usize), String> {
    if bytes.len() < 10 || &bytes[..6] != MAGIC {
        return Err("not a npy array (bad magic)".into());
    }
    match (bytes[6], bytes.get(8..MOST_OF_A_PREAMBLE)) {
        (1, _) => Ok((10, 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]])))),
        (2 | 3, Some(b)) => Ok((12, 12usize.saturating_add(u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize))),
        (2 | 3, None) => Err("npy header is cut off".into()),
        (v, _) => Err(format!("npy format version {v} is unknown")),
    }
}

/// The header whose text is at a place of an array's bytes.
fn header(bytes: &[u8], text: std::ops::Range<usize>) -> Result<Header, String> {
    let length = text.end;
    let text = std::str::from_utf8(bytes.get(text).ok_or("npy header is cut off")?).map_err(|_| "npy header is not text")?;
    let (descr, fortran, shape) = parse_header(text)?;
    let (dtype, swap) = parse_descr(&descr)?;
    Ok(Header { shape, dtype, swap, fortran, length })
}

/// One array in `.npy` form.
pub fn parse_npy(bytes: &[u8]) -> Result<Tensor, String> {
    let (text, end) = header_text(bytes)?;
    let header = header(bytes, text..end)?;
    let (Header { shape, dtype, swap, fortran, length }, needed) = (&header, header.bytes()?);
    let payload = &bytes[*length..];
    if payload.len() < needed {
        return Err(format!("npy array of shape {shape:?} {dtype} needs {needed} bytes, the file has {}", payload.len()));
    }
    let mut owned;
    let mut raw = &payload[..needed];
    if *swap && dtype.size() > 1 {
        owned = raw.to_vec();
        owned.chunks_exact_mut(dtype.size()).for_each(|c| c.reverse());
        raw = &owned;
    }
    let transposed;
    if *fortran && shape.len() > 1 {
        transposed = fortran_to_c(raw, shape, dtype.size());
        raw = &transposed;
    }
    Tensor::from_le_bytes(shape, *dtype, raw).map_err(|e| e.to_string())
}

fn fortran_to_c(raw: &[u8], shape: &[usize], size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut strides = vec![1usize; shape.len()];
    for d in 1..shape.len() {
        strides[d] = strides[d - 1] * shape[d - 1];
    }
    let count: usize = shape.iter().product();
    let mut index = vec![0usize; shape.len()];
    for _ in 0..count {
        let at: usize = index.iter().zip(&strides).map(|(i, s)| i * s).sum::<usize>() * size;
        out.extend_from_slice(&raw[at..at + size]);
        for d in (0..shape.len()).rev() {
            index[d] += 1;
            if index[d] < shape[d] {
                break;
            }
            index[d] = 0;
        }
    }
    out
}

fn parse_descr(descr: &str) -> Result<(DType, bool), String> {
    let (order, kind) = descr.split_at(descr.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(0));
    let dtype = match kind {
        "f8" => DType::F64,
        "f4" => DType::F32,
        "f2" => DType::F16,
        "i8" => DType::I64,
        "u8" => DType::U64,
        "i4" => DType::I32,
        "u4" => DType::U32,
        "i2" => DType::I16,
        "u2" => DType::U16,
        "i1" => DType::I8,
        "u1" => DType::U8,
        "b1" => DType::Bool,
        _ => return Err(format!("npy element type '{descr}' is not supported")),
    };
    Ok((dtype, order == ">"))
}

/// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }`.
fn parse_header(header: &str) -> Result<(String, bool, Vec<usize>), String> {
    let bad = || format!("npy header is malformed: {}", header.trim().chars().take(80).collect::<String>());
    let after = |key: &str| -> Result<&str, String> {
        let at = header.find(key).ok_or_else(bad)?;
        let rest = &header[at + key.len()..];
        Ok(rest[rest.find(':').ok_or_else(bad)? + 1..].trim_start())
    };
    let descr = after("descr")?;
    let quote = descr.chars().next().filter(|c| matches!(c, '\'' | '"')).ok_or_else(bad)?;
    let descr = descr[1..].split(quote).next().ok_or_else(bad)?.to_owned();
    let fortran = after("fortran_order")?.starts_with("True");
    let shape = after("shape")?;
    let inner = shape.strip_prefix('(').and_then(|s| s.split(')').next()).ok_or_else(bad)?;
    let shape = inner
        .split(',')
        .map(|s| s.trim().trim_end_matches('L'))
        .filter(|s| !s.is_empty())
        .map(|s| s.parse::<usize>().map_err(|_| bad()))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((descr, fortran, shape))
}

fn descr_of(dtype: DType) -> &'static str {
    match dtype {
        DType::F64 => "<f8",
        DType::F32 => "<f4",
        DType::F16 => "<f2",
        // NumPy has no bfloat16: its bits travel as uint16, as the reference's files do.
        DType::BF16 | DType::U16 => "<u2",
        DType::I64 => "<i8",
        DType::U64 => "<u8",
        DType::I32 => "<i4",
        DType::U32 => "<u4",
        DType::I16 => "<i2",
        DType::I8 => "|i1",
        DType::U8 => "|u1",
        DType::Bool => "|b1",
    }
}

/// What stands before the elements of a `.npy` file, version 1.0; its length is a multiple of 64 bytes.
fn npy_header(tensor: &Tensor) -> Vec<u8> {
    let shape = match tensor.shape() {
        [one] => format!("({one},)"),
        more => format!("({})", more.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    };
    let mut header = format!("{{'descr': '{}', 'fortran_order': False, 'shape': {shape}, }}", descr_of(tensor.dtype()));
    let padding = (64 - (10 + header.len() + 1) % 64) % 64;
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    let mut bytes = Vec::from(*MAGIC);
    bytes.extend([1, 0]);
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes
}

/// One array in `.npy` form, version 1.0, data aligned to 64 bytes.
pub fn format_npy(tensor: &Tensor) -> Vec<u8> {
    [&npy_header(tensor), &*tensor.le_bytes()].concat()
}

/// Writes one `.npy` file (whole or not at all).
pub fn write_npy(path: &Path, tensor: &Tensor) -> Result<(), FileError> {
    file::write_atomically(path, |w| {
        w.write_all(&npy_header(tensor))?;
        w.write_all(&tensor.le_bytes())
    })
}

/// Writes an `.npz` file (whole or not at all), members in the order given and stored uncompressed.
pub fn write_npz<'a>(path: &Path, arrays: impl IntoIterator<Item = (&'a str, &'a Tensor)>) -> Result<(), FileError> {
    file::write_atomically(path, |w| write_archive(w, arrays))
}

/// The bytes of an npz archive, as [`write_npz`] writes them.
pub fn format_npz<'a>(arrays: impl IntoIterator<Item = (&'a str, &'a Tensor)>) -> Result<Vec<u8>, String> {
    let mut bytes = Cursor::new(Vec::new());
    write_archive(&mut bytes, arrays).map_err(|e| e.to_string())?;
    Ok(bytes.into_inner())
}

fn write_archive<'a>(place: impl Write + Seek, arrays: impl IntoIterator<Item = (&'a str, &'a Tensor)>) -> io::Result<()> {
    let mut archive = zip::ZipWriter::new(place);
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, tensor) in arrays {
        let (header, elements) = (npy_header(tensor), tensor.le_bytes());
        let options = options.large_file(header.len() + elements.len() > u32::MAX as usize);
        archive.start_file(format!("{name}.npy"), options)?;
        archive.write_all(&header)?;
        archive.write_all(&elements)?;
    }
    archive.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_zip64_end_is_read() {
        let a = Tensor::f32(&[2], vec![1.0, 2.0]).unwrap();
        let plain = format_npz([("a", &a)]).unwrap();
        let (body, end) = plain.split_at(plain.len() - 22);
        let directory = u64::from(u32::from_le_bytes(end[16..20].try_into().unwrap()));
        let mut bytes = body.to_vec();
        bytes.extend(b"PK\x06\x06");
        bytes.extend(68u64.to_le_bytes()); // the record's other fields are 44 bytes
        bytes.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for field in [1, 1, body.len() as u64 - directory, directory] {
            bytes.extend(u64::to_le_bytes(field));
        }
        bytes.extend(b"PK\x06\x07\0\0\0\0");
        bytes.extend((directory + 56).to_le_bytes()); // it is at the end of the directory
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(&end[..16]);
        bytes.extend([0xff; 4]);
        bytes.extend(&end[20..]);
        assert_eq!(parse_npz(&bytes).unwrap(), [("a".to_owned(), a)]);
    }

    #[test]
    fn npz_round_trip() {
        let a = Tensor::f32(&[2, 3], vec![1.0, -2.0, 3.5, 0.0, -0.0, 1e9]).unwrap();
        let b = Tensor::i8(&[4], vec![-128, -1, 0, 127]).unwrap();
        let scalar = Tensor::f32(&[], vec![7.0]).unwrap();
        let bytes = format_npz([("a/x", &a), ("b", &b), ("s", &scalar)]).unwrap();
        let back = parse_npz(&bytes).unwrap();
        assert_eq!(back, [("a/x".to_owned(), a.clone()), ("b".to_owned(), b), ("s".to_owned(), scalar)]);
        assert_eq!(bytes, format_npz(back.iter().map(|(n, t)| (n.as_str(), t))).unwrap());
    }

    #[test]
    fn every_way_into_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.npz");
        let tensors = [
            ("a", Tensor::f32(&[2, 300_000], (0..600_000).map(|i| i as f32).collect()).unwrap()),
            ("b", Tensor::new(&[3], Data::Bool(vec![true, false, true])).unwrap()),
            ("empty", Tensor::i16(&[0, 4], vec![]).unwrap()),
        ];
        write_npz(&file, tensors.iter().map(|(n, t)| (*n, t))).unwrap();
        let found = read_npz(&file).unwrap();
        assert!(found.iter().map(|(n, t)| (n.as_str(), t)).eq(tensors.iter().map(|(n, t)| (*n, t))));

        // A header of 400 bytes, and a member that is packed.
        let mut long = npy_header(&tensors[1].1);
        let padding = 400 - long.len();
        long.splice(long.len() - 1..long.len() - 1, std::iter::repeat_n(b' ', padding));
        long[8..10].copy_from_slice(&390u16.to_le_bytes());
        long.extend([1, 0, 1]);
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for method in [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated] {
            archive.start_file(format!("{method}.npy"), zip::write::SimpleFileOptions::default().compression_method(method)).unwrap();
            archive.write_all(&long).unwrap();
        }
        let bytes = archive.finish().unwrap().into_inner();
        let found = parse_npz(&bytes).unwrap();
        assert_eq!(found.iter().map(|(_, t)| t).collect::<Vec<_>>(), [&tensors[1].1; 2]);
    }

    #[test]
    fn damage_is_found() {
        let tensor = Tensor::f32(&[1000], vec![1.0; 1000]).unwrap();
        let mut bytes = format_npz([("a", &tensor)]).unwrap();
        bytes[2000] ^= 1;
        assert_eq!(parse_npz(&bytes), Err("npz member 'a.npy': its checksum is wrong: the file is damaged".into()));
    }

    /// `TPUC_DAMAGED_FILES` asks for another number of files.
    #[test]
    fn damaged_files_are_errors_or_tensors() {
        let count = std::env::var("TPUC_DAMAGED_FILES").ok().and_then(|n| n.parse().ok()).unwrap_or(3000);
        let a = Tensor::f32(&[2, 3], vec![1.0; 6]).unwrap();
        let b = Tensor::new(&[5], Data::Bool(vec![true; 5])).unwrap();
        let whole = format_npz([("a", &a), ("b", &b)]).unwrap();
        let mut state = 1u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % below
        };
        for _ in 0..count {
            let mut bytes = whole.clone();
            for _ in 0..=random(4) {
                let at = random(bytes.len());
                match random(4) {
                    0 => bytes.truncate(at.max(1)),
                    1 => bytes[at] = 0xff,
                    // Numbers of the archive's directory and headers: lengths, places, kinds.
                    2 => bytes[at..].iter_mut().take(4).for_each(|b| *b = random(256) as u8),
                    _ => bytes[at] ^= 1 << random(8),
                }
            }
            let _ = parse_npz(&bytes);
        }
    }

    #[test]
    fn fortran_order_and_big_endian() {
        let mut bytes = Vec::from(*MAGIC);
        let header = "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }\n";
        bytes.extend([1, 0]);
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.bytes());
        for v in [1i16, 4, 2, 5, 3, 6] {
            bytes.extend(v.to_be_bytes());
        }
        assert_eq!(parse_npy(&bytes).unwrap(), Tensor::i16(&[2, 3], vec![1, 2, 3, 4, 5, 6]).unwrap());
    }

    #[test]
    fn hostile_headers_are_errors() {
        for header in ["", "{}", "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }", "{'descr': 'O', 'fortran_order': False, 'shape': (1,), }"] {
            let mut bytes = Vec::from(*MAGIC);
            bytes.extend([1, 0]);
            bytes.extend((header.len() as u16).to_le_bytes());
            bytes.extend(header.bytes());
            assert!(parse_npy(&bytes).is_err(), "{header}");
        }
        assert!(parse_npy(b"\x93NUMPY\x01\x00\xff\xff").is_err());
        assert!(parse_npz(b"PK\x03\x04junk").is_err());
    }
}

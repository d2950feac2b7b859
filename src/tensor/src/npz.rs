//! NumPy's `.npy` and `.npz` files.
//!
//! Reading accepts format versions 1 to 3, little and big endian, C and Fortran order, stored and deflated members. Sizes
//! are checked against the bytes that are there, so that a hostile header cannot make us allocate. Writing makes
//! version 1.0 members, stored, in a zip archive with fixed time stamps: the same tensors give the same bytes.

use crate::dtype::DType;
use crate::file::{self, FileError};
use crate::tensor::Tensor;
use std::borrow::Cow;
use std::io::{self, Cursor, Read, Seek, Write};
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
    let bytes = file::read(path)?;
    parse_npz(&bytes).map_err(|e| FileError::new(path, e))
}

/// Archives that unpack to no more than this are unpacked without a look at the memory that is free.
const ALWAYS_FITS: u64 = 1 << 30;

/// The arrays of an npz archive held in memory.
pub fn parse_npz(bytes: &[u8]) -> Result<Vec<(String, Tensor)>, String> {
    let bytes: &[u8] = &with_right_zip64_end(bytes);
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| format!("not an npz file: {e}"))?;
    let mut arrays = Vec::new();
    let mut total = 0u64;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|e| format!("npz member {index}: {e}"))?;
        let name = entry.name().map_err(|e| format!("npz member {index}: {e}"))?.into_owned();
        let declared = entry.size();
        total = total.saturating_add(declared);
        // Deflate cannot shrink by more than about 1032 to 1; a larger claim is a lie (or members share their bytes).
        if total / 1100 > bytes.len() as u64 {
            return Err(format!("npz member '{name}': claims {declared} bytes, more than the file can hold"));
        }
        if total > ALWAYS_FITS && file::available_memory().is_some_and(|free| total > free) {
            return Err(format!("its arrays take {total} bytes or more, which this machine does not have free"));
        }
        let mut content = Vec::new();
        content.try_reserve_exact(declared as usize).map_err(|_| format!("npz member '{name}': no memory for {declared} bytes"))?;
        entry.take(declared + 1).read_to_end(&mut content).map_err(|e| format!("npz member '{name}': {e}"))?;
        let tensor = parse_npy(&content).map_err(|e| format!("npz member '{name}': {e}"))?;
        let key = name.strip_suffix(".npy").unwrap_or(&name).to_owned();
        arrays.push((key, tensor));
    }
    Ok(arrays)
}

/// TPU-MLIR's weight files end in a zip64 record that claims a wrong length, behind a locator that points to a wrong place.
/// Readers that look at these (ours, but not Python's) refuse the archive, so both are put right in a copy.
fn with_right_zip64_end(bytes: &[u8]) -> Cow<'_, [u8]> {
    const END: usize = 22;
    const LOCATOR: usize = 20;
    const RECORD: usize = 56;
    let read = |at: usize| bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
    let Some(record) = bytes.len().checked_sub(RECORD + LOCATOR + END) else { return Cow::Borrowed(bytes) };
    let locator = record + RECORD;
    // A record's length does not count its first 12 bytes.
    let right = [(record + 4, RECORD as u64 - 12), (locator + 8, record as u64)];
    let signed = bytes[record..].starts_with(b"PK\x06\x06") && bytes[locator..].starts_with(b"PK\x06\x07");
    if !signed || right.iter().all(|&(at, value)| read(at) == Some(value)) {
        return Cow::Borrowed(bytes);
    }
    let mut copy = bytes.to_vec();
    for (at, value) in right {
        copy[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    Cow::Owned(copy)
}

/// One array in `.npy` form.
pub fn parse_npy(bytes: &[u8]) -> Result<Tensor, String> {
    if bytes.len() < 10 || &bytes[..6] != MAGIC {
        return Err("not a npy array (bad magic)".into());
    }
    let (start, length) = match bytes[6] {
        1 => (10, usize::from(u16::from_le_bytes([bytes[8], bytes[9]]))),
        2 | 3 => match bytes.get(8..12) {
            Some(b) => (12, u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize),
            None => return Err("npy header is cut off".into()),
        },
        v => return Err(format!("npy format version {v} is unknown")),
    };
    let header = bytes.get(start..start + length).ok_or("npy header is cut off")?;
    let header = std::str::from_utf8(header).map_err(|_| "npy header is not text")?;
    let (descr, fortran, shape) = parse_header(header)?;
    let payload = &bytes[start + length..];
    let (dtype, swap) = parse_descr(&descr)?;
    let count = shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
    let needed = count.and_then(|c| c.checked_mul(dtype.size())).ok_or_else(|| format!("npy shape {shape:?} is too large"))?;
    if payload.len() < needed {
        return Err(format!("npy array of shape {shape:?} {dtype} needs {needed} bytes, the file has {}", payload.len()));
    }
    let mut owned;
    let mut raw = &payload[..needed];
    if swap && dtype.size() > 1 {
        owned = raw.to_vec();
        owned.chunks_exact_mut(dtype.size()).for_each(|c| c.reverse());
        raw = &owned;
    }
    let transposed;
    if fortran && shape.len() > 1 {
        transposed = fortran_to_c(raw, &shape, dtype.size());
        raw = &transposed;
    }
    Tensor::from_le_bytes(&shape, dtype, raw).map_err(|e| e.to_string())
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

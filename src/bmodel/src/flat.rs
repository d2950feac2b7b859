//! A bounded reader of flatbuffer tables.
//!
//! Slot numbers are data here, and the bytes come from strangers, so every offset is checked against the buffer and the
//! number of objects that may be visited is limited: offsets that all point at the same table cannot make a small file
//! expand without end.

use crate::error::BmodelError;
use crate::model::RelEntry;
use std::cell::Cell;
use std::fmt::Display;

/// The buffer and what may still be read of it.
pub struct Flat<'a> {
    bytes: &'a [u8],
    /// Bytes that the reader may still hand out, counting every visit.
    budget: Cell<usize>,
}

/// A table at a checked position.
#[derive(Clone, Copy)]
pub struct Table<'f, 'a> {
    flat: &'f Flat<'a>,
    position: usize,
    vtable: usize,
    vtable_len: usize,
    table_len: usize,
}

fn broken(place: impl Display, reason: impl Display) -> BmodelError {
    BmodelError::Broken { place: place.to_string(), reason: reason.to_string() }
}

/// A `(start, size)` pair into the binary section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Binary {
    pub start: u64,
    pub size: u64,
}

macro_rules! scalars {
    ($($name:ident, $ty:ty, $n:literal;)*) => {$(
        /// The scalar in `slot`, or `default` where it is absent.
        pub fn $name(&self, slot: u16, default: $ty) -> Result<$ty, BmodelError> {
            match self.field(slot, $n)? {
                Some(at) => Ok(<$ty>::from_le_bytes(self.flat.array::<$n>(at)?)),
                None => Ok(default),
            }
        }
    )*};
}

impl<'a> Flat<'a> {
    pub fn new(bytes: &'a [u8]) -> Flat<'a> {
        // An honest file visits most of its bytes once; shared strings and tables leave room for a few more.
        Flat { bytes, budget: Cell::new(bytes.len().saturating_mul(4).saturating_add(4096)) }
    }

    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], BmodelError> {
        at.checked_add(N)
            .and_then(|end| self.bytes.get(at..end))
            .and_then(|s| s.try_into().ok())
            .ok_or_else(|| broken(format_args!("flatbuffer byte {at}"), format_args!("{N} bytes reach over the end ({} bytes)", self.bytes.len())))
    }

    fn u16_at(&self, at: usize) -> Result<usize, BmodelError> {
        Ok(usize::from(u16::from_le_bytes(self.array(at)?)))
    }

    fn u32_at(&self, at: usize) -> Result<usize, BmodelError> {
        Ok(u32::from_le_bytes(self.array(at)?) as usize)
    }

    fn spend(&self, bytes: usize) -> Result<(), BmodelError> {
        match self.budget.get().checked_sub(bytes) {
            Some(left) => {
                self.budget.set(left);
                Ok(())
            }
            None => Err(broken("flatbuffer", "the same bytes are referred to far too often")),
        }
    }

    /// Follows the forward offset stored at `at`.
    fn follow(&self, at: usize) -> Result<usize, BmodelError> {
        let offset = self.u32_at(at)?;
        match at.checked_add(offset) {
            Some(to) if offset != 0 && to < self.bytes.len() => Ok(to),
            _ => Err(broken(format_args!("flatbuffer byte {at}"), format_args!("offset {offset} leads out of the buffer ({} bytes)", self.bytes.len()))),
        }
    }

    pub fn root(&self) -> Result<Table<'_, 'a>, BmodelError> {
        self.table(self.follow(0)?)
    }

    fn table(&self, position: usize) -> Result<Table<'_, 'a>, BmodelError> {
        let back = i64::from(i32::from_le_bytes(self.array(position)?));
        let place = || format!("table at flatbuffer byte {position}");
        let vtable = usize::try_from(position as i64 - back).map_err(|_| broken(place(), "its vtable lies before the buffer"))?;
        let vtable_len = self.u16_at(vtable)?;
        let table_len = self.u16_at(vtable.saturating_add(2))?;
        let vtable_fits = vtable.checked_add(vtable_len).is_some_and(|end| end <= self.bytes.len());
        if vtable_len < 4 || vtable_len % 2 != 0 || !vtable_fits {
            return Err(broken(place(), format_args!("vtable of {vtable_len} bytes")));
        }
        if table_len < 4 || position + table_len > self.bytes.len() {
            return Err(broken(place(), format_args!("table of {table_len} bytes")));
        }
        self.spend(table_len + 16)?;
        Ok(Table { flat: self, position, vtable, vtable_len, table_len })
    }

    /// Start of the items and their number.
    fn vector(&self, at: usize, item: usize) -> Result<(usize, usize), BmodelError> {
        let count = self.u32_at(at)?;
        let start = at + 4;
        let bytes = count.checked_mul(item).filter(|&bytes| bytes <= self.bytes.len() - start);
        let bytes = bytes.ok_or_else(|| broken(format_args!("vector at flatbuffer byte {at}"), format_args!("{count} items of {item} bytes reach over the end")))?;
        self.spend(bytes + 4)?;
        Ok((start, count))
    }
}

impl<'f, 'a> Table<'f, 'a> {
    /// Position of the field in `slot`, `size` bytes inside the table; `None` where it is absent.
    fn field(&self, slot: u16, size: usize) -> Result<Option<usize>, BmodelError> {
        let entry = 4 + 2 * usize::from(slot);
        if entry + 2 > self.vtable_len {
            return Ok(None);
        }
        match self.flat.u16_at(self.vtable + entry)? {
            0 => Ok(None),
            offset if offset >= 4 && offset + size <= self.table_len => Ok(Some(self.position + offset)),
            offset => Err(broken(format_args!("table at flatbuffer byte {}", self.position), format_args!("field {slot} at {offset} lies outside the table ({} bytes)", self.table_len))),
        }
    }

    scalars! {
        u32, u32, 4;
        i32, i32, 4;
        u64, u64, 8;
        f32, f32, 4;
    }

    pub fn flag(&self, slot: u16) -> Result<bool, BmodelError> {
        Ok(self.i32(slot, 0)? != 0)
    }

    fn reference(&self, slot: u16) -> Result<Option<usize>, BmodelError> {
        self.field(slot, 4)?.map(|at| self.flat.follow(at)).transpose()
    }

    pub fn string(&self, slot: u16) -> Result<Option<String>, BmodelError> {
        let Some(at) = self.reference(slot)? else { return Ok(None) };
        let (start, count) = self.flat.vector(at, 1)?;
        let text = std::str::from_utf8(&self.flat.bytes[start..start + count]);
        text.map(|s| Some(s.to_owned())).map_err(|_| broken(format_args!("string at flatbuffer byte {at}"), "not UTF-8 text"))
    }

    /// A string that the container requires.
    pub fn required_string(&self, slot: u16, what: &str) -> Result<String, BmodelError> {
        self.string(slot)?.ok_or_else(|| broken(what, "is missing"))
    }

    pub fn table(&self, slot: u16) -> Result<Option<Table<'f, 'a>>, BmodelError> {
        self.reference(slot)?.map(|at| self.flat.table(at)).transpose()
    }

    /// Maps every table of a vector; an absent vector is empty.
    pub fn tables<T>(&self, slot: u16, mut read: impl FnMut(Table<'f, 'a>) -> Result<T, BmodelError>) -> Result<Vec<T>, BmodelError> {
        let Some(at) = self.reference(slot)? else { return Ok(Vec::new()) };
        let (start, count) = self.flat.vector(at, 4)?;
        (0..count).map(|i| read(self.flat.table(self.flat.follow(start + 4 * i)?)?)).collect()
    }

    fn scalars<T, const N: usize>(&self, slot: u16, from: fn([u8; N]) -> T) -> Result<Option<Vec<T>>, BmodelError> {
        let Some(at) = self.reference(slot)? else { return Ok(None) };
        let (start, count) = self.flat.vector(at, N)?;
        (0..count).map(|i| Ok(from(self.flat.array(start + N * i)?))).collect::<Result<_, _>>().map(Some)
    }

    pub fn bytes(&self, slot: u16) -> Result<Option<Vec<u8>>, BmodelError> {
        self.scalars(slot, |[b]: [u8; 1]| b)
    }

    pub fn u64s(&self, slot: u16) -> Result<Vec<u64>, BmodelError> {
        Ok(self.scalars(slot, u64::from_le_bytes)?.unwrap_or_default())
    }

    pub fn i32s(&self, slot: u16) -> Result<Vec<i32>, BmodelError> {
        Ok(self.scalars(slot, i32::from_le_bytes)?.unwrap_or_default())
    }

    pub fn binary(&self, slot: u16) -> Result<Option<Binary>, BmodelError> {
        self.field(slot, 16)?.map(|at| Ok(binary_from(self.flat.array(at)?))).transpose()
    }

    pub fn binaries(&self, slot: u16) -> Result<Vec<Binary>, BmodelError> {
        Ok(self.scalars(slot, binary_from)?.unwrap_or_default())
    }

    pub fn relocation(&self, slot: u16) -> Result<Option<RelEntry>, BmodelError> {
        self.field(slot, 12)?.map(|at| Ok(relocation_from(self.flat.array(at)?))).transpose()
    }

    pub fn relocations(&self, slot: u16) -> Result<Vec<RelEntry>, BmodelError> {
        Ok(self.scalars(slot, relocation_from)?.unwrap_or_default())
    }
}

fn binary_from(bytes: [u8; 16]) -> Binary {
    let value = u128::from_le_bytes(bytes);
    Binary { start: value as u64, size: (value >> 64) as u64 }
}

fn relocation_from(bytes: [u8; 12]) -> RelEntry {
    let word = |i: usize| u32::from_le_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
    RelEntry { base_id: word(0), addr_offset: word(4), cmd_offset: word(8) }
}

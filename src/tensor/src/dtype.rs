//! Element types.

/// The element types that networks, weights and files use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    F64,
    F32,
    F16,
    BF16,
    I64,
    U64,
    I32,
    U32,
    I16,
    U16,
    I8,
    U8,
    Bool,
}

impl DType {
    /// Size of one element in bytes.
    pub const fn size(self) -> usize {
        match self {
            DType::F64 | DType::I64 | DType::U64 => 8,
            DType::F32 | DType::I32 | DType::U32 => 4,
            DType::F16 | DType::BF16 | DType::I16 | DType::U16 => 2,
            DType::I8 | DType::U8 | DType::Bool => 1,
        }
    }

    pub const fn is_float(self) -> bool {
        matches!(self, DType::F64 | DType::F32 | DType::F16 | DType::BF16)
    }

    pub const fn is_signed(self) -> bool {
        !matches!(self, DType::U64 | DType::U32 | DType::U16 | DType::U8 | DType::Bool)
    }

    /// Smallest and largest value of an integer type; `None` for floats.
    pub const fn integer_range(self) -> Option<(i64, i64)> {
        match self {
            DType::I8 => Some((-128, 127)),
            DType::U8 => Some((0, 255)),
            DType::I16 => Some((-32768, 32767)),
            DType::U16 => Some((0, 65535)),
            DType::I32 => Some((i32::MIN as i64, i32::MAX as i64)),
            DType::U32 => Some((0, u32::MAX as i64)),
            DType::I64 => Some((i64::MIN, i64::MAX)),
            DType::U64 => Some((0, i64::MAX)),
            DType::Bool => Some((0, 1)),
            DType::F64 | DType::F32 | DType::F16 | DType::BF16 => None,
        }
    }

    /// The name used in messages and in `model_tool`: `f32`, `si8`, `ui8`...
    pub const fn name(self) -> &'static str {
        match self {
            DType::F64 => "f64",
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::BF16 => "bf16",
            DType::I64 => "si64",
            DType::U64 => "ui64",
            DType::I32 => "si32",
            DType::U32 => "ui32",
            DType::I16 => "si16",
            DType::U16 => "ui16",
            DType::I8 => "si8",
            DType::U8 => "ui8",
            DType::Bool => "bool",
        }
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

//! Attributes of ops as plain values, and the tables that say which op has which.

/// An attribute value.
#[derive(Debug, Clone, PartialEq)]
pub enum Attr {
    Bool(bool),
    I64(i64),
    Si32(i32),
    Ui32(u32),
    F64(f64),
    Str(String),
    I64Array(Vec<i64>),
    F64Array(Vec<f64>),
    Enum { dialect: &'static str, mnemonic: &'static str, case: String },
}

impl Attr {
    /// What kind of value this is, in the words of an error message.
    pub fn kind_name(&self) -> &'static str {
        match self {
            Attr::Bool(_) => "bool",
            Attr::I64(_) => "i64",
            Attr::Si32(_) => "si32",
            Attr::Ui32(_) => "ui32",
            Attr::F64(_) => "f64",
            Attr::Str(_) => "string",
            Attr::I64Array(_) => "array of i64",
            Attr::F64Array(_) => "array of f64",
            Attr::Enum { mnemonic, .. } => mnemonic,
        }
    }
}

/// What kind of value an attribute holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttrKind {
    Bool,
    I64,
    Si32,
    Ui32,
    F64,
    Str,
    I64Array,
    F64Array,
    Enum { dialect: &'static str, mnemonic: &'static str, cases: &'static [&'static str] },
}

impl AttrKind {
    pub fn name(self) -> &'static str {
        match self {
            AttrKind::Bool => "bool",
            AttrKind::I64 => "i64",
            AttrKind::Si32 => "si32",
            AttrKind::Ui32 => "ui32",
            AttrKind::F64 => "f64",
            AttrKind::Str => "string",
            AttrKind::I64Array => "array of i64",
            AttrKind::F64Array => "array of f64",
            AttrKind::Enum { mnemonic, .. } => mnemonic,
        }
    }
}

/// An attribute that an op declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttrSpec {
    pub name: &'static str,
    pub kind: AttrKind,
    /// Neither optional nor with a default.
    pub required: bool,
}

/// An operand or result that an op declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueSpec {
    pub name: &'static str,
    pub variadic: bool,
}

/// What the .td says about an op.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpSpec {
    /// `dialect.Mnemonic`
    pub name: &'static str,
    pub summary: &'static str,
    pub operands: &'static [ValueSpec],
    pub results: &'static [ValueSpec],
    pub attributes: &'static [AttrSpec],
}

/// An enumeration that is an attribute of a dialect, printed `#dialect<mnemonic Case>`.
pub trait EnumAttribute: Copy {
    const DIALECT: &'static str;
    const MNEMONIC: &'static str;
    const CASES: &'static [&'static str];
    fn case(self) -> &'static str;
    fn from_case(case: &str) -> Option<Self>;
}

/// An op's attributes do not fit its declaration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttrError {
    #[error("attribute '{name}' is missing")]
    Missing { name: &'static str },
    #[error("attribute '{name}' is of kind {found}, expected {expected}")]
    Kind { name: &'static str, expected: &'static str, found: &'static str },
    #[error("attribute '{name}': unknown case '{found}', expected one of {}", expected.join(", "))]
    Case { name: &'static str, found: String, expected: &'static [&'static str] },
}

pub(crate) fn find<'a>(attributes: &'a [(String, Attr)], name: &str) -> Option<&'a Attr> {
    attributes.iter().find(|(n, _)| n == name).map(|(_, a)| a)
}

/// Reads one attribute of a plain kind out of a list; evaluates to an `Option`.
macro_rules! plain {
    ($attributes:expr, $name:literal, $variant:ident) => {
        match $crate::attr::find($attributes, $name) {
            None => None,
            Some(Attr::$variant(v)) => Some(v.clone()),
            Some(other) => return Err(AttrError::Kind { name: $name, expected: AttrKind::$variant.name(), found: other.kind_name() }),
        }
    };
}
pub(crate) use plain;

pub(crate) fn read_enum<E: EnumAttribute>(attributes: &[(String, Attr)], name: &'static str) -> Result<Option<E>, AttrError> {
    match find(attributes, name) {
        None => Ok(None),
        Some(Attr::Enum { mnemonic, case, .. }) if *mnemonic == E::MNEMONIC => {
            let error = || AttrError::Case { name, found: case.clone(), expected: E::CASES };
            E::from_case(case).map(Some).ok_or_else(error)
        }
        Some(other) => Err(AttrError::Kind { name, expected: E::MNEMONIC, found: other.kind_name() }),
    }
}

pub(crate) fn write_enum<E: EnumAttribute>(value: E) -> Attr {
    Attr::Enum { dialect: E::DIALECT, mnemonic: E::MNEMONIC, case: value.case().to_owned() }
}

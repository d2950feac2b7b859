//! Chips that compute with the same numbers.

use crate::attr::Attr;
use std::collections::BTreeMap;

/// How the integers of a lowered module are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Family {
    /// BM1684X, BM1688, CV186X, BM1690: i8 and u8; multiplier and right shift per layer or channel; all float types.
    #[default]
    Bm1684x,
    /// BM1684: i8 and u8; right shifts alone where it multiplies and accumulates; f32.
    Bm1684,
    /// CV183x, CV182x, CV181x, CV180x: i8 only; 31-bit multipliers as in TFLite; bf16.
    Cv18xx,
}

impl Family {
    /// The family of a chip's name (`module.chip`); the first for names that are of no chip, such as `ALL`.
    pub fn of_chip(name: &str) -> Family {
        match name {
            "bm1684" => Family::Bm1684,
            "cv183x" | "cv182x" | "cv181x" | "cv180x" => Family::Cv18xx,
            _ => Family::Bm1684x,
        }
    }

    /// The family of a module by its attributes.
    pub fn of_module(attributes: &BTreeMap<String, Attr>) -> Family {
        match attributes.get("module.chip") {
            Some(Attr::Str(name)) => Family::of_chip(name),
            _ => Family::default(),
        }
    }
}

//! A node of an ONNX graph with checked access to its attributes.

use super::proto::{AttributeProto, NodeProto};

/// One node; `layer` is the name that its first result gets: output tensor, underscore, op type.
pub struct OnnxNode<'a> {
    pub proto: &'a NodeProto,
    pub layer: String,
}

impl<'a> OnnxNode<'a> {
    pub fn new(proto: &'a NodeProto) -> Self {
        let output = proto.output.first().map_or("", String::as_str);
        OnnxNode { proto, layer: format!("{output}_{}", proto.op_type) }
    }

    pub fn op(&self) -> &'a str {
        &self.proto.op_type
    }

    /// The name of the first result.
    pub fn output(&self) -> &'a str {
        self.proto.output.first().map_or("", String::as_str)
    }

    /// The name of an input; `None` where it is absent or left empty.
    pub fn input(&self, index: usize) -> Option<&'a str> {
        self.proto.input.get(index).map(String::as_str).filter(|s| !s.is_empty())
    }

    /// The name of an input that must be there.
    pub fn need(&self, index: usize) -> Result<&'a str, String> {
        self.input(index).ok_or_else(|| format!("input {index} is missing"))
    }

    fn attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        self.proto.attribute.iter().find(|a| a.name == name)
    }

    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |a| a.i)
    }

    pub fn float(&self, name: &str) -> Option<f32> {
        self.attribute(name).map(|a| a.f)
    }

    pub fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.attribute(name).map(|a| a.ints.as_slice())
    }

    pub fn floats(&self, name: &str) -> Option<&'a [f32]> {
        self.attribute(name).map(|a| a.floats.as_slice())
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.attribute(name).map(|a| String::from_utf8_lossy(&a.s).into_owned())
    }

    pub fn tensor(&self, name: &str) -> Option<&'a super::proto::TensorProto> {
        self.attribute(name).and_then(|a| a.t.as_ref())
    }
}

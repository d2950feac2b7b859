//! ONNX: the file is decoded (`proto`), constants are computed (`fold`), and every remaining node becomes Top ops
//! (`convert`). Unsupported ops are all collected before anything is reported.

mod activation;
mod arith;
mod choice;
mod convert;
mod elementwise;
mod fold;
pub mod graph;
mod linear;
mod movement;
mod node;
mod norm;
mod patterns;
mod pool;
mod proto;
mod reduce;
mod resize;
mod tensor;

use crate::{ImportError, ImportOptions, Imported, UnsupportedOp};
use node::OnnxNode;
use prost::Message as _;
use prost::bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use tpuc_ops::{Attr, Op, Program, Source, TensorType, ValueId, ValueType};
use tpuc_tensor::{Tensor, WeightStore};

/// Reads an ONNX file as a Top program.
pub fn import(path: &Path, options: &ImportOptions) -> Result<Imported, ImportError> {
    let bytes = Bytes::from(tpuc_tensor::file::read(path)?);
    let malformed = |reason: String| ImportError::Malformed { path: path.to_path_buf(), reason };
    let mut model = proto::ModelProto::decode(bytes).map_err(|e| malformed(e.to_string()))?;
    let graph = model.graph.as_mut().ok_or_else(|| malformed("it holds no graph".into()))?;
    if graph.node.is_empty() {
        return Err(malformed("its graph has no nodes".into()));
    }
    patterns::fuse(graph, &options.output_names);
    let graph = &*graph;
    let opset = model.opset_import.iter().find(|o| o.domain.is_empty() || o.domain == "ai.onnx").map_or(1, |o| o.version);
    Importer::new(graph, opset, options).map_err(|e| at_file(e, path))?.run().map_err(|e| at_file(e, path))
}

/// A structural problem of the graph is one of the file.
fn at_file(error: ImportError, path: &Path) -> ImportError {
    match error {
        ImportError::Malformed { reason, .. } => ImportError::Malformed { path: path.to_path_buf(), reason },
        other => other,
    }
}

/// What is known of an ONNX tensor while importing.
#[derive(Clone)]
enum Slot {
    Constant(Arc<Tensor>),
    Value(ValueId),
    /// Behind an unsupported op.
    Unknown,
}

struct Importer<'a> {
    graph: &'a proto::GraphProto,
    opset: i64,
    options: &'a ImportOptions,
    program: Program,
    weights: WeightStore,
    slots: HashMap<&'a str, Slot>,
    /// Weights that are in the program already, by name.
    weight_values: HashMap<String, ValueId>,
    layer_names: HashSet<String>,
    unsupported: Vec<UnsupportedOp>,
}

impl<'a> Importer<'a> {
    fn new(graph: &'a proto::GraphProto, opset: i64, options: &'a ImportOptions) -> Result<Self, ImportError> {
        let mut importer = Importer {
            graph,
            opset,
            options,
            program: Program::new(options.model_name.clone()),
            weights: WeightStore::new(),
            slots: HashMap::new(),
            weight_values: HashMap::new(),
            layer_names: HashSet::new(),
            unsupported: Vec::new(),
        };
        for initializer in &graph.initializer {
            let tensor = tensor::read(initializer).map_err(|reason| malformed(format!("initializer '{}': {reason}", initializer.name)))?;
            importer.slots.insert(&initializer.name, Slot::Constant(Arc::new(tensor)));
        }
        importer.inputs()?;
        Ok(importer)
    }

    fn inputs(&mut self) -> Result<(), ImportError> {
        let inputs: Vec<_> = self.graph.input.iter().filter(|i| !self.slots.contains_key(i.name.as_str())).collect();
        if let Some(shapes) = &self.options.input_shapes {
            if shapes.len() != inputs.len() {
                let names: Vec<_> = inputs.iter().map(|i| i.name.as_str()).collect();
                return Err(option(format!("--input_shapes gives {} shapes, the model has {} inputs ({})", shapes.len(), inputs.len(), names.join(", "))));
            }
        }
        let chosen = &self.options.preprocessing.inputs;
        if let Some(wrong) = chosen.iter().find(|&&i| i == 0 || i > inputs.len()) {
            return Err(option(format!("--preprocess_list: there is no input {wrong}; the model has {}, counted from 1", inputs.len())));
        }
        for (index, input) in inputs.into_iter().enumerate() {
            let declared = input.ty.as_ref().and_then(|t| t.tensor_type.as_ref()).and_then(|t| t.shape.as_ref());
            let declared: Option<Vec<Option<i64>>> = declared.map(|s| s.dim.iter().map(|d| d.value.filter(|&v| v > 0)).collect());
            let shape = match (&self.options.input_shapes, declared) {
                (Some(shapes), Some(file)) => fit_shape(&input.name, &shapes[index], &file)?,
                (Some(shapes), None) => shapes[index].clone(),
                (None, Some(file)) => file.iter().copied().collect::<Option<Vec<i64>>>().ok_or_else(|| open_shape(&input.name))?,
                (None, None) => return Err(open_shape(&input.name)),
            };
            if shape.iter().any(|&d| d < 1) || shape.iter().try_fold(1i64, |a, &d| a.checked_mul(d)).is_none_or(|c| c > 1 << 31) {
                return Err(option(format!("input '{}': shape {shape:?} is not possible", input.name)));
            }
            let op = self.options.preprocessing.input_op(index, &shape);
            let ty = TensorType::f32(&shape);
            let argument = self.program.add_input(input.name.clone(), ty.clone());
            let value = self.program.push(op, &[argument], input.name.clone(), ty);
            self.layer_names.insert(input.name.clone());
            self.slots.insert(&input.name, Slot::Value(value));
        }
        Ok(())
    }

    fn run(mut self) -> Result<Imported, ImportError> {
        let outputs: Vec<String> = match self.options.output_names.as_slice() {
            [] => self.graph.output.iter().map(|o| o.name.clone()).collect(),
            names => names.to_vec(),
        };
        self.check_outputs(&outputs)?;
        let needed = self.needed_nodes(&outputs);
        for (index, proto) in self.graph.node.iter().enumerate() {
            if needed.contains(&index) {
                self.node(&OnnxNode::new(proto))?;
            }
        }
        if !self.unsupported.is_empty() {
            return Err(ImportError::Unsupported { ops: self.unsupported });
        }
        for name in &outputs {
            match self.slots.get(name.as_str()) {
                Some(Slot::Value(value)) => self.program.outputs.push(*value),
                _ => return Err(malformed(format!("output '{name}' is a constant"))),
            }
        }
        let text = |s: &str| Attr::Str(s.to_owned());
        let attrs = [("module.chip", text("ALL")), ("module.platform", text("ONNX")), ("module.state", text("TOP_F32")), ("module.top_run_mode", text("STATIC"))];
        self.program.attrs = attrs.into_iter().map(|(n, a)| (n.to_owned(), a)).collect();
        self.program.attrs.insert("module.weight_file".into(), Attr::Str(format!("{}_top_f32_all_weight.npz", self.options.model_name)));
        let program = self.program.without_dead();
        let weights = program.used_weights(&self.weights);
        Ok(Imported { program, weights, output_tensors: outputs })
    }

    fn check_outputs(&self, outputs: &[String]) -> Result<(), ImportError> {
        if outputs.is_empty() {
            return Err(malformed("its graph has no outputs".into()));
        }
        let known: Vec<&str> = self.graph.node.iter().flat_map(|n| n.output.iter().map(String::as_str)).collect();
        for name in outputs {
            if !known.contains(&name.as_str()) {
                let nearest = tpuc_tensor::text::nearest(name, known.iter().copied());
                let hint = nearest.map(|n| format!("; the nearest name is '{n}'")).unwrap_or_default();
                return Err(option(format!("the model has no tensor '{name}' to take as an output{hint}")));
            }
        }
        Ok(())
    }

    /// Nodes that the outputs depend on.
    fn needed_nodes(&self, outputs: &[String]) -> HashSet<usize> {
        let producer: HashMap<&str, usize> = self.graph.node.iter().enumerate().flat_map(|(i, n)| n.output.iter().map(move |o| (o.as_str(), i))).collect();
        let mut needed = HashSet::new();
        let mut stack: Vec<&str> = outputs.iter().map(String::as_str).collect();
        while let Some(name) = stack.pop() {
            if let Some(&index) = producer.get(name) {
                if needed.insert(index) {
                    stack.extend(self.graph.node[index].input.iter().map(String::as_str));
                }
            }
        }
        needed
    }

    fn node(&mut self, node: &OnnxNode<'a>) -> Result<(), ImportError> {
        let at_layer = |reason: String| ImportError::Layer { layer: node.layer.clone(), op: node.op().to_owned(), reason };
        let mut unknown = false;
        let mut constants: Vec<Option<Arc<Tensor>>> = Vec::new();
        let mut all_constant = true;
        for index in 0..node.proto.input.len() {
            let Some(name) = node.input(index) else {
                constants.push(None);
                continue;
            };
            match self.slots.get(name) {
                None => return Err(at_layer(format!("reads tensor '{name}', which nothing computes before it"))),
                Some(Slot::Constant(t)) => constants.push(Some(t.clone())),
                Some(Slot::Value(_)) => {
                    constants.push(None);
                    all_constant = false;
                }
                Some(Slot::Unknown) => {
                    constants.push(None);
                    (unknown, all_constant) = (true, false);
                }
            }
        }
        if node.proto.output.is_empty() {
            return Err(at_layer("has no output".into()));
        }
        if all_constant {
            let inputs: Vec<Option<&Tensor>> = constants.iter().map(|c| c.as_deref()).collect();
            if let Some(result) = fold::evaluate(node, &inputs) {
                for (name, tensor) in node.proto.output.iter().zip(result.map_err(at_layer)?) {
                    self.slots.insert(name, Slot::Constant(Arc::new(tensor)));
                }
                return Ok(());
            }
        }
        let supported = [convert::SUPPORTED, elementwise::SUPPORTED].iter().any(|list| list.contains(&node.op()));
        if !supported || !matches!(node.proto.domain.as_str(), "" | "ai.onnx") {
            self.note_unsupported(node);
            unknown = true;
        }
        let slots = match node.op() {
            _ if unknown => vec![Slot::Unknown],
            "Split" => self.split(node).map_err(at_layer)?,
            _ => vec![self.convert(node).map_err(at_layer)?],
        };
        let mut slots = slots.into_iter();
        for name in node.proto.output.iter().filter(|n| !n.is_empty()) {
            self.slots.insert(name, slots.next().unwrap_or(Slot::Unknown));
        }
        Ok(())
    }

    fn note_unsupported(&mut self, node: &OnnxNode) {
        match self.unsupported.iter_mut().find(|u| u.op == node.op()) {
            Some(known) => known.count += 1,
            None => self.unsupported.push(UnsupportedOp { op: node.op().to_owned(), layer: node.layer.clone(), count: 1 }),
        }
    }

    /// An input as a value of the program; constants become weights.
    fn value(&mut self, name: &str) -> Result<ValueId, String> {
        match self.slots.get(name).cloned() {
            Some(Slot::Value(value)) => Ok(value),
            Some(Slot::Constant(tensor)) => self.weight(name, &tensor),
            Some(Slot::Unknown) | None => Err(format!("tensor '{name}' is not available")),
        }
    }

    fn constant(&self, name: &str) -> Option<Arc<Tensor>> {
        match self.slots.get(name) {
            Some(Slot::Constant(t)) => Some(t.clone()),
            _ => None,
        }
    }

    /// Constant integers that an operator takes as an input, or as an attribute in older opsets.
    fn integers(&self, node: &OnnxNode, index: usize, attribute: &str) -> Result<Option<Vec<i64>>, String> {
        let Some(name) = node.input(index) else { return Ok(node.ints(attribute).map(<[i64]>::to_vec)) };
        let found = self.constant(name).and_then(|t| t.to_i64());
        found.map(Some).ok_or_else(|| format!("its {attribute} '{name}' are not constant integers"))
    }

    /// A float weight under this name, or a numbered one if another weight has it.
    fn weight(&mut self, name: &str, tensor: &Tensor) -> Result<ValueId, String> {
        let shape: Vec<usize> = if tensor.shape().is_empty() { vec![1] } else { tensor.shape().to_vec() };
        let data = Tensor::f32(&shape, tensor.to_f32()).map_err(|e| e.to_string())?;
        let mut unique = name.to_owned();
        let mut number = 1;
        while let Some(&value) = self.weight_values.get(&unique) {
            if self.weights.get(&unique).is_some_and(|known| **known == data) {
                return Ok(value);
            }
            unique = format!("{name}_{number}");
            number += 1;
        }
        let shape: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
        let value = self.program.add_weight(unique.as_str(), TensorType::f32(&shape));
        self.weights.insert(unique.as_str(), data);
        self.weight_values.insert(unique, value);
        Ok(value)
    }

    fn is_weight(&self, value: ValueId) -> bool {
        self.program.value(value).source == Source::Weight
    }

    fn shape(&self, value: ValueId) -> &[i64] {
        self.program.tensor_type(value).map_or(&[], |t| &t.shape)
    }

    /// Appends an op whose result shape is inferred. A name that is taken gets a number.
    fn push(&mut self, op: impl Into<Op>, operands: &[ValueId], layer: &str) -> Result<ValueId, String> {
        let op = op.into();
        let types: Vec<_> = operands.iter().map(|&v| self.program.value(v).ty.clone()).collect();
        let shape = op.infer_shapes(&types).map_err(|e| e.to_string())?.remove(0);
        let name = self.layer_name(layer);
        // Further results that an op may have are not asked for.
        let absent = vec![ValueType::None; op.spec().results.len().saturating_sub(1)];
        let results = [vec![ValueType::from(TensorType::f32(&shape))], absent].concat();
        op.verify(&types, &results).map_err(|e| e.to_string())?;
        Ok(self.program.push_results(op, operands, results.into_iter().map(|ty| (name.clone(), ty)).collect())[0])
    }

    /// A layer name that nobody has yet: this one, or this one with a number.
    fn layer_name(&mut self, layer: &str) -> String {
        let mut name = layer.to_owned();
        let mut number = 1;
        while !self.layer_names.insert(name.clone()) {
            name = format!("{layer}_{number}");
            number += 1;
        }
        name
    }
}

/// A structural problem; the caller fills in the file.
fn malformed(reason: String) -> ImportError {
    ImportError::Malformed { path: Default::default(), reason }
}

fn option(reason: String) -> ImportError {
    ImportError::Option { reason }
}

fn open_shape(input: &str) -> ImportError {
    option(format!("input '{input}' has no fixed shape in the file: give it with --input_shapes"))
}

/// The user's shape must agree with the dimensions that the file fixes, but for the batch.
fn fit_shape(input: &str, wanted: &[i64], file: &[Option<i64>]) -> Result<Vec<i64>, ImportError> {
    let fits = wanted.len() == file.len() && wanted.iter().zip(file).skip(1).all(|(w, f)| f.is_none_or(|f| f == *w));
    // Networks whose spatial size the exporter fixed may still be asked for another size; only rank and channels bind.
    let channels_fit = wanted.len() == file.len() && (wanted.len() != 4 || file[1].is_none_or(|c| c == wanted[1]));
    if fits || channels_fit {
        return Ok(wanted.to_vec());
    }
    let file: Vec<String> = file.iter().map(|d| d.map_or("?".into(), |v| v.to_string())).collect();
    Err(option(format!("--input_shapes gives {wanted:?} for input '{input}', the model has [{}]", file.join(", "))))
}

#[cfg(test)]
mod tests;

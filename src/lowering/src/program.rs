//! The driver: lowers every op of a program and puts casts between them.

use crate::ahead::Ahead;
use crate::chip::{Chip, Mode};
use crate::error::LowerError;
use crate::lowered::{Lowered, NewNode, NewWeight, OpContext, OperandRef, WeightGroups, is_asymmetric};
use crate::quantize::cast_suffix;
use std::collections::{HashMap, HashSet};
use tpuc_ops::{Attr, Elem, Op, Program, Source, TensorType, ValueId, ValueType, tpu};
use tpuc_tensor::WeightStore;

/// What one op becomes. Pure: equal contexts give equal answers.
pub fn lower_op(context: &OpContext) -> Result<Lowered, LowerError> {
    context.chip.lower(context)
}

/// `<model>_<chip>_<mode>_tpu_weights.npz`
pub fn weight_file_name(model: &str, chip: &Chip, mode: Mode, asymmetric: bool) -> String {
    format!("{model}_{}_{}_tpu_weights.npz", chip.name, mode.file_suffix(asymmetric))
}

/// Lowers a Top program whose values carry ranges in their types ([`Ranges::annotate`](crate::Ranges::annotate)).
///
/// Gives the Tpu program and its weights. A value that is wanted in another element type than it is computed in gets
/// one cast per type, right behind it, named `<value><first reader>_<type>`; results of the network get `<value>_f32`.
/// Errors name all unsupported ops, else all layers without a range.
pub fn lower_program(program: &Program, weights: &WeightStore, chip: &Chip, mode: Mode) -> Result<(Program, WeightStore), LowerError> {
    lower_mixed(program, weights, chip, mode, |_| mode)
}

/// As [`lower_program`], each node in a mode of its own ([`Chip::layer_mode`] of what `of_node` says); `mode` is that of the
/// module.
pub fn lower_mixed(program: &Program, weights: &WeightStore, chip: &Chip, mode: Mode, of_node: impl Fn(usize) -> Mode) -> Result<(Program, WeightStore), LowerError> {
    lower_watched(program, weights, chip, mode, of_node, None, |_| ())
}

/// As [`lower_mixed`]. Other threads may do the work of `ahead`, which is of the same program, weights, chip and modes, until this is over. `watch` gets
/// each new op as soon as it is known, before the rest is lowered.
pub fn lower_watched(
    program: &Program,
    weights: &WeightStore,
    chip: &Chip,
    mode: Mode,
    of_node: impl Fn(usize) -> Mode,
    ahead: Option<&Ahead>,
    watch: impl Fn(&Op),
) -> Result<(Program, WeightStore), LowerError> {
    let _stop = ahead.map(Ahead::stop_at_end);
    program.check()?;
    if !chip.modes.contains(&mode) {
        return Err(LowerError::Mode { chip: chip.name, mode, modes: chip.modes });
    }
    if is_asymmetric(program) && !chip.has_zero_points() {
        return Err(LowerError::ZeroPoints { chip: chip.name });
    }
    let lowered = lower_all(program, weights, chip, mode, of_node, ahead, watch)?;
    let casts = Casts::wanted(program, &lowered);
    let mut out = Emitter::new(program, &lowered);
    out.emit(program, lowered, &casts);
    let Emitter { program: mut result, mut weights, .. } = out;
    crate::preprocess::fold_swaps(&mut result, &mut weights);
    let asymmetric = is_asymmetric(program);
    result.attrs.extend(chip.module_attributes(mode).into_iter().map(|(name, value)| (name.to_owned(), value)));
    result.attrs.insert("module.asymmetric".into(), Attr::Bool(asymmetric));
    let groups = WeightGroups::of(program);
    let size = if mode.weight_bits().is_some() { groups.size } else { 0 };
    result.attrs.insert("module.q_group_size".into(), Attr::I64(size));
    result.attrs.insert("module.q_symmetric".into(), Attr::Bool(groups.symmetric));
    result.attrs.insert("module.state".into(), Attr::Str("TPU_LOWERED".into()));
    result.attrs.insert("module.weight_file".into(), Attr::Str(weight_file_name(&program.name, chip, mode, asymmetric)));
    result.check()?;
    Ok((result, weights))
}

/// Every op lowered, or one error for all that cannot be.
fn lower_all(program: &Program, weights: &WeightStore, chip: &Chip, mode: Mode, of_node: impl Fn(usize) -> Mode, ahead: Option<&Ahead>, watch: impl Fn(&Op)) -> Result<Vec<Lowered>, LowerError> {
    let mut all: Vec<Lowered> = Vec::with_capacity(program.nodes.len());
    // By value: the element type in which it is computed.
    let mut elems: Vec<Option<Elem>> = vec![None; program.values.len()];
    let mut unsupported = Vec::new();
    let mut missing: Vec<String> = Vec::new();
    for node in 0..program.nodes.len() {
        let context = OpContext::of(program, weights, node, chip, chip.layer_mode(of_node(node))).map(|mut context| {
            for (operand, id) in context.operands.iter_mut().zip(&program.nodes[node].operands) {
                operand.computed = elems[id.index()].unwrap_or(operand.computed);
            }
            context.prepared = ahead.map(|ahead| ahead.take(node)).unwrap_or_default();
            context
        });
        match context.and_then(|context| lower_op(&context)) {
            Ok(lowered) => {
                for (&result, &new) in program.nodes[node].results.iter().zip(&lowered.results) {
                    elems[result.index()] = Some(lowered.nodes[new].ty.elem);
                }
                lowered.nodes.iter().for_each(|node| watch(&node.op));
                all.push(lowered);
            }
            Err(LowerError::Unsupported { ops, .. }) => unsupported.extend(ops),
            Err(LowerError::MissingThresholds { layers }) => missing.extend(layers),
            Err(other) => return Err(other),
        }
    }
    if !unsupported.is_empty() {
        return Err(LowerError::Unsupported { chip: chip.name, mode, ops: unsupported });
    }
    if !missing.is_empty() {
        let mut seen = HashSet::new();
        missing.retain(|layer| seen.insert(layer.clone()));
        return Err(LowerError::MissingThresholds { layers: missing });
    }
    Ok(all)
}

/// The casts behind each value of the Top program: element type and name, in the order in which they were asked for.
struct Casts {
    of: Vec<Vec<(Elem, String)>>,
}

impl Casts {
    fn wanted(program: &Program, lowered: &[Lowered]) -> Casts {
        let mut casts = Casts { of: vec![Vec::new(); program.values.len()] };
        for (node, new) in lowered.iter().enumerate() {
            for (new_node, operand) in new.nodes.iter().flat_map(|n| n.operands.iter().map(move |o| (n, o))) {
                if let OperandRef::Operand { index, elem } = operand {
                    casts.want(program, lowered, program.nodes[node].operands[*index], elem, new_node);
                }
            }
        }
        for &output in &program.outputs {
            let (_, elem) = computed(program, lowered, output);
            if !same_elem(&elem, &Elem::F32) {
                casts.add(program, lowered, output, &Elem::F32, "");
            }
        }
        casts
    }

    fn want(&mut self, program: &Program, lowered: &[Lowered], value: ValueId, elem: &Elem, reader: &NewNode) {
        self.add(program, lowered, value, elem, &reader.name);
        // What stands right behind the value reads it first, and of several the last.
        let (name, _) = computed(program, lowered, value);
        if let Some(cast) = self.of[value.index()].iter_mut().find(|c| c.0 == *elem).filter(|_| reader.behind.is_some()) {
            cast.1 = format!("{name}{}_{}", reader.name, cast_suffix(elem));
        }
    }

    fn add(&mut self, program: &Program, lowered: &[Lowered], value: ValueId, elem: &Elem, reader: &str) {
        let (name, computed) = computed(program, lowered, value);
        let list = &mut self.of[value.index()];
        if !same_elem(&computed, elem) && list.iter().all(|(e, _)| e != elem) {
            list.push((*elem, format!("{name}{reader}_{}", cast_suffix(elem))));
        }
    }
}

/// Whether no cast is needed between two element types: a range beside a float type changes nothing.
pub fn same_elem(a: &Elem, b: &Elem) -> bool {
    a == b || (a.scale().is_none() && b.scale().is_none() && a.storage() == b.storage())
}

/// Name and element type in which a value of the Top program is computed after lowering.
fn computed<'a>(program: &'a Program, lowered: &'a [Lowered], value: ValueId) -> (&'a str, Elem) {
    let top = program.value(value);
    if let Source::Op { node, result } = top.source {
        let new = &lowered[node];
        if let Some(node) = new.results.get(result).map(|&r| &new.nodes[r]) {
            return (&node.name, node.ty.elem);
        }
    }
    (&top.name, program.tensor_type(value).map_or(Elem::F32, |t| t.elem))
}

/// Builds the Tpu program.
struct Emitter {
    program: Program,
    weights: WeightStore,
    weight_values: HashMap<String, ValueId>,
    names: HashSet<String>,
    /// Where values of the Top program are now.
    moved: Vec<Option<ValueId>>,
    /// Their casts.
    cast: Vec<Vec<(Elem, ValueId)>>,
    /// By value of the Top program: new nodes that stand right behind it, as node of the Top program and position among its
    /// new nodes.
    behind: Vec<Vec<(usize, usize)>>,
    /// Where those are now.
    early: HashMap<(usize, usize), ValueId>,
}

impl Emitter {
    fn new(top: &Program, lowered: &[Lowered]) -> Emitter {
        let mut program = Program::new(top.name.clone());
        program.attrs = top.attrs.clone();
        let mut moved = vec![None; top.values.len()];
        for &input in &top.inputs {
            let ty = top.tensor_type(input).cloned().unwrap_or_else(|| TensorType::f32(&[]));
            moved[input.index()] = Some(program.add_input(top.value(input).name.clone(), ty));
        }
        if lowered.iter().flat_map(|l| &l.nodes).flat_map(|n| &n.operands).any(|o| *o == OperandRef::None) {
            program.none();
        }
        let cast = vec![Vec::new(); top.values.len()];
        let mut behind = vec![Vec::new(); top.values.len()];
        for (node, new) in lowered.iter().enumerate() {
            for (position, new_node) in new.nodes.iter().enumerate() {
                if let Some(value) = new_node.behind.and_then(|index| top.nodes[node].operands.get(index)) {
                    behind[value.index()].push((node, position));
                }
            }
        }
        Emitter { program, weights: WeightStore::new(), weight_values: HashMap::new(), names: HashSet::new(), moved, cast, behind, early: HashMap::new() }
    }

    fn emit(&mut self, top: &Program, mut lowered: Vec<Lowered>, casts: &Casts) {
        let mut weights: Vec<Vec<NewWeight>> = lowered.iter_mut().map(|l| std::mem::take(&mut l.weights)).collect();
        for &input in &top.inputs {
            self.emit_casts(input, casts);
            self.emit_behind(input, top, &lowered);
        }
        for (index, new) in lowered.iter().enumerate() {
            let node = &top.nodes[index];
            let weights: Vec<ValueId> = std::mem::take(&mut weights[index]).into_iter().map(|w| self.weight(w)).collect();
            let mut results = Vec::with_capacity(new.nodes.len());
            for (position, new_node) in new.nodes.iter().enumerate() {
                if let Some(&early) = self.early.get(&(index, position)) {
                    results.push(early);
                    continue;
                }
                let operands: Vec<ValueId> = new_node.operands.iter().map(|o| self.operand(o, &node.operands, &results, &weights)).collect();
                let name = self.unique(new_node.name.clone());
                results.push(self.push(new_node, &operands, name));
            }
            for (&result, &computed_by) in node.results.iter().zip(&new.results) {
                self.moved[result.index()] = Some(results[computed_by]);
                self.emit_casts(result, casts);
                self.emit_behind(result, top, &lowered);
            }
        }
        self.program.outputs = top.outputs.iter().map(|&o| self.find(o, &Elem::F32)).collect();
    }

    /// Casts stand right behind the value, the one that was asked for last first (as in the reference's files).
    fn emit_casts(&mut self, value: ValueId, casts: &Casts) {
        let Some(source) = self.moved[value.index()] else { return };
        let shape = self.program.tensor_type(source).map_or(vec![], |t| t.shape.clone());
        for (elem, name) in casts.of[value.index()].iter().rev() {
            let name = self.unique(name.clone());
            let cast = self.program.push(tpu::Cast::default(), &[source], name, TensorType::new(&shape, *elem));
            self.cast[value.index()].push((*elem, cast));
        }
    }

    /// Nodes that stand right behind a value follow its casts, again the last first.
    fn emit_behind(&mut self, value: ValueId, top: &Program, lowered: &[Lowered]) {
        for (node, position) in std::mem::take(&mut self.behind[value.index()]).into_iter().rev() {
            let new_node = &lowered[node].nodes[position];
            let operands: Vec<ValueId> = new_node.operands.iter().map(|o| self.operand(o, &top.nodes[node].operands, &[], &[])).collect();
            let name = self.unique(new_node.name.clone());
            let result = self.push(new_node, &operands, name);
            self.early.insert((node, position), result);
        }
    }

    /// A new node; results that its op may have beyond the first are absent.
    fn push(&mut self, node: &NewNode, operands: &[ValueId], name: String) -> ValueId {
        let absent = node.op.spec().results.iter().skip(1).map(|_| (name.clone(), ValueType::None));
        let results = [(name.clone(), node.ty.clone().into())].into_iter().chain(absent).collect();
        self.program.push_results(node.op.clone(), operands, results)[0]
    }

    /// A value of the Top program in an element type: its cast, or the value itself.
    fn find(&mut self, value: ValueId, elem: &Elem) -> ValueId {
        let cast = self.cast[value.index()].iter().find(|(e, _)| e == elem).map(|(_, id)| *id);
        match cast.or(self.moved[value.index()]) {
            Some(id) => id,
            None => self.program.none(),
        }
    }

    fn operand(&mut self, operand: &OperandRef, top: &[ValueId], results: &[ValueId], weights: &[ValueId]) -> ValueId {
        match operand {
            OperandRef::Operand { index, elem } => self.find(top[*index], elem),
            OperandRef::Node(node) => results[*node],
            OperandRef::Weight(weight) => weights[*weight],
            OperandRef::None => self.program.none(),
        }
    }

    /// A weight's value; equal weights of one name are one.
    fn weight(&mut self, weight: NewWeight) -> ValueId {
        if let Some(&id) = self.weight_values.get(&weight.name) {
            let same = self.weights.get(&weight.name).is_some_and(|t| **t == weight.data) && self.program.tensor_type(id) == Some(&weight.ty);
            if same {
                return id;
            }
        }
        let name = self.unique(weight.name);
        let id = self.program.add_weight(name.clone(), weight.ty);
        self.weights.insert(name.clone(), weight.data);
        self.weight_values.insert(name, id);
        id
    }

    /// The name, or the name with a number where it is taken.
    fn unique(&mut self, name: String) -> String {
        let mut candidate = name.clone();
        let mut number = 0;
        while !self.names.insert(candidate.clone()) {
            number += 1;
            candidate = format!("{name}_{number}");
        }
        candidate
    }
}

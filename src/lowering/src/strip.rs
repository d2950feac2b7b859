//! Casts at the borders of a lowered network left to the caller: inputs arrive quantized, outputs leave quantized.

use std::collections::HashMap;
use tpuc_ops::{Elem, Op, Program, ValueId};

/// Which borders lose their cast. Positions count from 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strip {
    pub inputs: Which,
    pub outputs: Which,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Which {
    #[default]
    None,
    All,
    Some(Vec<usize>),
}

impl Which {
    /// The documented way to ask: all (`quant`), or a list of positions that count from 1 (`1,3`), which goes before.
    pub fn parse(quant: bool, list: &str) -> Result<Which, BadPosition> {
        let words: Vec<&str> = list.split(',').map(str::trim).filter(|w| !w.is_empty()).collect();
        if words.is_empty() {
            return Ok(if quant { Which::All } else { Which::None });
        }
        let position = |word: &&str| word.parse::<usize>().ok().filter(|&p| p > 0).map(|p| p - 1).ok_or_else(|| BadPosition { found: (*word).to_owned() });
        words.iter().map(position).collect::<Result<_, _>>().map(Which::Some)
    }

    fn holds(&self, position: usize) -> bool {
        match self {
            Which::None => false,
            Which::All => true,
            Which::Some(list) => list.contains(&position),
        }
    }

    fn largest(&self) -> usize {
        match self {
            Which::Some(list) => list.iter().map(|p| p + 1).max().unwrap_or(0),
            _ => 0,
        }
    }
}

/// A word that is no position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{found}' should be a position, counted from 1")]
pub struct BadPosition {
    pub found: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StripError {
    #[error("{what} {position} is asked for, the network has {count}")]
    Position { what: &'static str, position: usize, count: usize },
    #[error("input '{name}' is used as {types}: it cannot arrive in one of them")]
    Types { name: String, types: String },
}

/// Removes the casts. An input that nothing casts, and an output that is no result of a cast, stay as they are.
pub fn strip_io_quant(program: &Program, strip: &Strip) -> Result<Program, StripError> {
    for (what, which, count) in [("input", &strip.inputs, program.inputs.len()), ("output", &strip.outputs, program.outputs.len())] {
        if which.largest() > count {
            return Err(StripError::Position { what, position: which.largest(), count });
        }
    }
    let mut out = program.clone();
    let users = program.users();
    // A removed cast's result, and what stands for it.
    let mut replaced: HashMap<ValueId, ValueId> = HashMap::new();
    for (position, &argument) in program.inputs.iter().enumerate() {
        if !strip.inputs.holds(position) {
            continue;
        }
        for &reader in &users[argument.index()] {
            if matches!(program.nodes[reader].op, Op::TopInput(_)) {
                strip_input(program, &mut out, reader, &users, &mut replaced)?;
            }
        }
    }
    for (position, output) in out.outputs.iter_mut().enumerate() {
        if !strip.outputs.holds(position) {
            continue;
        }
        let Some(node) = program.producer(*output) else { continue };
        let (Op::TpuCast(_), [source]) = (&program.nodes[node].op, program.nodes[node].operands.as_slice()) else { continue };
        // A network input that is an output too has no other form.
        if program.producer(*source).is_some_and(|p| !matches!(program.nodes[p].op, Op::TopInput(_))) {
            *output = *source;
        }
    }
    let find = |id: &mut ValueId| {
        if let Some(&other) = replaced.get(id) {
            *id = other;
        }
    };
    out.nodes.iter_mut().flat_map(|n| &mut n.operands).for_each(find);
    out.outputs.iter_mut().for_each(find);
    Ok(out.without_dead())
}

/// The one type that all readers of an input cast it to becomes its own.
fn strip_input(program: &Program, out: &mut Program, input: usize, users: &[Vec<usize>], replaced: &mut HashMap<ValueId, ValueId>) -> Result<(), StripError> {
    let result = program.nodes[input].results[0];
    // Frames of bytes arrive as what they are.
    if program.tensor_type(result).is_some_and(|t| t.elem.scale().is_some()) {
        return Ok(());
    }
    let readers = &users[result.index()];
    let elem = |node: usize| -> Option<Elem> {
        let cast = matches!(program.nodes[node].op, Op::TpuCast(_));
        let value = if cast { program.nodes[node].results[0] } else { result };
        program.tensor_type(value).map(|t| t.elem)
    };
    let mut types: Vec<Elem> = Vec::new();
    for elem in readers.iter().filter_map(|&r| elem(r)) {
        if !types.contains(&elem) {
            types.push(elem);
        }
    }
    let casts: Vec<usize> = readers.iter().copied().filter(|&r| matches!(program.nodes[r].op, Op::TpuCast(_))).collect();
    if casts.is_empty() || program.outputs.contains(&result) {
        return Ok(());
    }
    let &[elem] = types.as_slice() else {
        let types = types.iter().map(|t| t.storage().to_string()).collect::<Vec<_>>().join(" and ");
        return Err(StripError::Types { name: program.node_name(input).to_owned(), types });
    };
    if let Some(ty) = out.values[result.index()].ty.tensor_mut() {
        ty.elem = elem;
    }
    replaced.extend(casts.into_iter().map(|cast| (program.nodes[cast].results[0], result)));
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tpuc_ops::{TensorType, top, tpu};
    use tpuc_tensor::DType;

    fn int8(scale: f64) -> Elem {
        Elem::Uniform { storage: DType::I8, expressed: DType::F32, scale, zero_point: 0 }
    }

    fn program() -> Program {
        let shape = [1i64, 4];
        let mut p = Program::new("net");
        let argument = p.add_input("x", TensorType::f32(&shape));
        let x = p.push(top::Input::default(), &[argument], "x", TensorType::f32(&shape));
        let q = p.push(tpu::Cast::default(), &[x], "xa_si8", TensorType::new(&shape, int8(0.5)));
        let a = p.push(tpu::Relu::default(), &[q], "a", TensorType::new(&shape, int8(0.5)));
        let f = p.push(tpu::Cast::default(), &[a], "a_f32", TensorType::f32(&shape));
        p.outputs = vec![f];
        p
    }

    fn names(p: &Program) -> Vec<&str> {
        (0..p.nodes.len()).map(|n| p.node_name(n)).collect()
    }

    #[test]
    fn either_side() {
        let input = strip_io_quant(&program(), &Strip { inputs: Which::All, outputs: Which::None }).unwrap();
        assert_eq!(names(&input), ["x", "a", "a_f32"]);
        assert_eq!(input.result_types(0)[0].tensor().unwrap().elem, int8(0.5));
        let output = strip_io_quant(&program(), &Strip { inputs: Which::None, outputs: Which::Some(vec![0]) }).unwrap();
        assert_eq!(names(&output), ["x", "xa_si8", "a"]);
        assert_eq!(output.tensor_type(output.outputs[0]).unwrap().elem, int8(0.5));
    }

    #[test]
    fn mistakes() {
        let wrong = strip_io_quant(&program(), &Strip { inputs: Which::Some(vec![1]), outputs: Which::None }).unwrap_err();
        assert_eq!(wrong.to_string(), "input 2 is asked for, the network has 1");
        assert_eq!(Which::parse(false, "1,3").unwrap(), Which::Some(vec![0, 2]));
        assert_eq!(Which::parse(true, "").unwrap(), Which::All);
        assert_eq!(Which::parse(true, "0").unwrap_err().to_string(), "'0' should be a position, counted from 1");
        let mut two = program();
        let x = two.nodes[0].results[0];
        let half = two.push(tpu::Cast::default(), &[x], "xb_f16", TensorType::new(&[1, 4], Elem::Plain(DType::F16)));
        let b = two.push(tpu::Relu::default(), &[half], "b", TensorType::new(&[1, 4], Elem::Plain(DType::F16)));
        two.outputs.push(b);
        let error = strip_io_quant(&two, &Strip { inputs: Which::All, outputs: Which::None }).unwrap_err();
        assert_eq!(error.to_string(), "input 'x' is used as si8 and f16: it cannot arrive in one of them");
    }
}

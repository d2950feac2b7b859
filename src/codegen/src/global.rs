//! Where activations live in DDR: every value gets a range of the ctx region for as long as it is needed.

use crate::CodegenError;
use tpuc_ops::{Program, Source, ValueId};

/// Tensors start at multiples of this, so that DMA rows are aligned.
const ALIGNMENT: u64 = 512;

/// Offsets of all activations in the ctx region.
pub struct Placement {
    /// Offset by value; `None` for weights and absent operands.
    offsets: Vec<Option<u64>>,
    pub size: u64,
}

struct Lifetime {
    value: usize,
    first: usize,
    last: usize,
    bytes: u64,
}

impl Placement {
    /// Gives values whose lifetimes do not overlap the same place (first fit, in order of definition). Inputs and outputs
    /// keep theirs for the whole run: the runtime writes and reads them.
    pub fn new(program: &Program) -> Placement {
        let root = aliases(program);
        let end = program.nodes.len();
        let mut lifetimes: Vec<Option<Lifetime>> = (0..program.values.len()).map(|_| None).collect();
        let mut touch = |value: ValueId, at: usize| {
            let v = root[value.index()];
            let Some(ty) = program.values[v].ty.tensor() else { return };
            if matches!(program.values[v].source, Source::Weight | Source::None) {
                return;
            }
            let bytes = (ty.count().max(0) as u64) * ty.elem.storage().size() as u64;
            let life = lifetimes[v].get_or_insert(Lifetime { value: v, first: at, last: at, bytes });
            life.first = life.first.min(at);
            life.last = life.last.max(at);
        };
        for (index, node) in program.nodes.iter().enumerate() {
            node.operands.iter().chain(&node.results).for_each(|&v| touch(v, index));
        }
        for &input in &program.inputs {
            touch(input, 0);
            touch(input, end);
        }
        for &output in &program.outputs {
            touch(output, 0);
            touch(output, end);
        }
        let mut placed: Vec<(Lifetime, u64)> = Vec::new();
        let mut size = 0;
        let mut ordered: Vec<Lifetime> = lifetimes.into_iter().flatten().collect();
        ordered.sort_by_key(|l| (l.first, l.value));
        for life in ordered {
            let mut taken: Vec<(u64, u64)> = placed.iter().filter(|(l, _)| l.first <= life.last && life.first <= l.last).map(|(l, at)| (*at, at + l.bytes)).collect();
            taken.sort_unstable();
            let mut at = 0u64;
            for (low, high) in taken {
                if at + life.bytes <= low {
                    break;
                }
                at = at.max(high.next_multiple_of(ALIGNMENT));
            }
            size = size.max(at + life.bytes);
            placed.push((life, at));
        }
        let mut offsets = vec![None; program.values.len()];
        for (life, at) in &placed {
            offsets[life.value] = Some(*at);
        }
        for v in 0..offsets.len() {
            offsets[v] = offsets[root[v]];
        }
        Placement { offsets, size: size.next_multiple_of(4096) }
    }

    /// Offset of a value in the ctx region.
    pub fn offset(&self, value: ValueId) -> Result<u64, String> {
        self.offsets[value.index()].ok_or_else(|| "an operand has no place in memory".to_owned())
    }
}

/// For every value the one whose bytes it shares: an input shares its argument's, a reshape its operand's.
fn aliases(program: &Program) -> Vec<usize> {
    let mut root: Vec<usize> = (0..program.values.len()).collect();
    for node in &program.nodes {
        if crate::is_view(&node.op) {
            root[node.results[0].index()] = root[node.operands[0].index()];
        }
    }
    root
}

/// Both the arguments and the results of a program must be tensors that the runtime can hand over.
pub fn check_io(program: &Program) -> Result<(), CodegenError> {
    let all = program.inputs.iter().chain(&program.outputs);
    for &value in all {
        if program.tensor_type(value).is_none() {
            return Err(CodegenError::NotLowered { reason: format!("'{}' is not a tensor", program.value(value).name) });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tpuc_ops::{TensorType, top, tpu};

    #[test]
    fn places_are_reused_but_never_shared_by_living_values() {
        let mut program = Program::new("chain");
        let ty = || TensorType::f32(&[1, 4, 16, 16]);
        let argument = program.add_input("x", ty());
        let mut last = program.push(top::Input::default(), &[argument], "x", ty());
        let mut ids = Vec::new();
        for i in 0..6 {
            last = program.push(tpu::Relu::default(), &[last], format!("r{i}"), ty());
            ids.push(last);
        }
        program.outputs.push(last);
        let placement = Placement::new(&program);
        let bytes = 4 * 16 * 16 * 4;
        for pair in ids.windows(2) {
            let (a, b) = (placement.offset(pair[0]).unwrap(), placement.offset(pair[1]).unwrap());
            assert!(a + bytes <= b || b + bytes <= a);
        }
        assert!(placement.size <= 5 * bytes, "{}", placement.size);
    }
}

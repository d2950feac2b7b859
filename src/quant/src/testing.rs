//! A two-op network for tests: `x -> Relu -> Add(relu, x)`.

use crate::network::{ElementOrder, Network, NetworkError, PreparedOp};
use tpuc_ops::{Op, Program, TensorType, ValueId, top};
use tpuc_tensor::Tensor;

pub struct TwoOps {
    pub program: Program,
}

impl TwoOps {
    pub fn new(width: i64) -> TwoOps {
        let mut program = Program::new("two_ops");
        let ty = TensorType::f32(&[1, width]);
        let argument = program.add_input("x", ty.clone());
        let input = program.push(top::Input::default(), &[argument], "input", ty.clone());
        let relu = program.push(top::Relu::default(), &[input], "relu", ty.clone());
        let sum = program.push(top::Add::default(), &[relu, input], "sum", ty);
        program.outputs = vec![sum];
        TwoOps { program }
    }
}

struct OneOp<'a>(&'a Op);

impl Network for TwoOps {
    fn program(&self) -> &Program {
        &self.program
    }

    fn run(&self, inputs: &[Tensor], _: ElementOrder, observe: &mut dyn FnMut(ValueId, &[f32]) -> bool) -> Result<(), NetworkError> {
        let mut values = vec![None; self.program.values.len()];
        values[self.program.inputs[0].index()] = inputs.first().cloned();
        for node in &self.program.nodes {
            let operands: Vec<Option<&Tensor>> = node.operands.iter().map(|id| values[id.index()].as_ref()).collect();
            let mut results = Vec::new();
            OneOp(&node.op).run(&operands, &mut results)?;
            if !observe(node.results[0], &results[0].to_f32()) {
                return Ok(());
            }
            values[node.results[0].index()] = results.pop();
        }
        Ok(())
    }

    fn prepare(&self, node: usize) -> Result<Box<dyn PreparedOp + '_>, NetworkError> {
        Ok(Box::new(OneOp(&self.program.nodes[node].op)))
    }
}

impl PreparedOp for OneOp<'_> {
    fn run(&self, operands: &[Option<&Tensor>], results: &mut Vec<Tensor>) -> Result<(), NetworkError> {
        let tensors: Vec<&Tensor> = operands.iter().flatten().copied().collect();
        let data: Vec<&[f32]> = tensors.iter().filter_map(|t| t.as_f32()).collect();
        let out = match (self.0, &data[..]) {
            (Op::TopInput(_), [x]) => x.to_vec(),
            (Op::TopRelu(_), [x]) => x.iter().map(|v| v.max(0.0)).collect(),
            (Op::TopAdd(_), [x, y]) => x.iter().zip(*y).map(|(a, b)| a + b).collect(),
            _ => return Err("not an op of this network".into()),
        };
        *results = vec![Tensor::f32(tensors[0].shape(), out)?];
        Ok(())
    }
}

/// Samples of that network: most values small, a few large.
pub fn samples(count: usize, width: usize) -> Vec<Vec<Tensor>> {
    let value = |sample: usize, i: usize| ((i * 7919 + sample * 31) % 997) as f32 / 997.0 - 0.4;
    let cubed = |sample: usize, i: usize| value(sample, i).powi(3) * (1 << (sample % 4)) as f32;
    let data = |sample: usize| (0..width).map(|i| cubed(sample, i)).collect();
    (0..count).map(|sample| vec![Tensor::f32(&[1, width], data(sample)).unwrap()]).collect()
}

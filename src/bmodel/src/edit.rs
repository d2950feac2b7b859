//! Whole-file operations of `model_tool`: combine several models, strip the firmware.

use crate::error::BmodelError;
use crate::model::Model;

/// One model with the nets of all, in order.
///
/// Nets of the same name become stages of one net (input shapes must then differ). All models must be of one chip; time,
/// version and modules are those of the first.
pub fn combine(models: Vec<Model>) -> Result<Model, BmodelError> {
    let fail = |reason: String| Err(BmodelError::Write(reason));
    let mut models = models.into_iter();
    let Some(mut all) = models.next() else { return fail("there is nothing to combine".into()) };
    for model in models {
        if model.chip != all.chip {
            return fail(format!("a model for {} cannot be combined with one for {}", model.chip, all.chip));
        }
        all.neuron_size = all.neuron_size.max(model.neuron_size);
        all.device_num = all.device_num.max(model.device_num);
        for net in model.nets {
            let Some(same) = all.nets.iter_mut().find(|n| n.name == net.name) else {
                all.nets.push(net);
                continue;
            };
            if same.addr_mode != net.addr_mode {
                return fail(format!("stages of net '{}' have addr_mode {} and {}", net.name, same.addr_mode, net.addr_mode));
            }
            for stage in net.stages {
                let shapes = |tensors: &[crate::Tensor]| tensors.iter().map(|t| t.shape.clone()).collect::<Vec<_>>();
                if same.stages.iter().any(|s| shapes(&s.inputs) == shapes(&stage.inputs)) {
                    return fail(format!("two stages of net '{}' have the same input shapes {:?}", net.name, shapes(&stage.inputs)));
                }
                same.stages.push(stage);
            }
        }
    }
    Ok(all)
}

/// Takes the vendor's firmware out of the model. True if there was one.
pub fn strip_kernel_module(model: &mut Model) -> bool {
    model.kernel_module.take().is_some()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::*;

    fn model(chip: &str, net: &str, width: usize) -> Model {
        let input = Tensor { name: "x".into(), shape: vec![1, width], ..Tensor::default() };
        let stage = Stage::single_subnet(vec![input], vec![], 0, 0, None, vec![]);
        let net = Net { name: net.into(), stages: vec![stage], addr_mode: 0, cascade: None };
        Model { nets: vec![net], ..Model::new(chip, "now") }
    }

    #[test]
    fn nets_stages_and_clashes() {
        let all = combine(vec![model("A", "n", 1), model("A", "m", 1), model("A", "n", 2)]).unwrap();
        let names: Vec<_> = all.nets.iter().map(|n| (n.name.as_str(), n.stages.len())).collect();
        assert_eq!(names, [("n", 2), ("m", 1)]);
        assert!(combine(vec![]).is_err());
        assert!(combine(vec![model("A", "n", 1), model("B", "m", 1)]).is_err());
        assert!(combine(vec![model("A", "n", 1), model("A", "n", 1)]).is_err());
    }

    #[test]
    fn stripping() {
        let mut m = model("A", "n", 1);
        assert!(!strip_kernel_module(&mut m));
        m.kernel_module = Some(Module { file_name: "f".into(), binary: Blob::default(), mode: 0 });
        assert!(strip_kernel_module(&mut m));
        assert_eq!(m.kernel_module, None);
    }
}

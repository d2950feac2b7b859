//! Whole-file operations of `model_tool`: combine several models, take one apart, change weights, strip the firmware.

use crate::error::BmodelError;
use crate::model::{Blob, Model, Stage};

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

/// As [`combine`], of models that all have the same coefficients: these are then in the file once.
pub fn combine_same_coeff(models: Vec<Model>) -> Result<Model, BmodelError> {
    let mut coeffs = models.iter().flat_map(|m| &m.nets).flat_map(|n| n.stages.iter().map(move |s| (&n.name, s.coeff.as_ref().map(|c| &c.data))));
    if let Some((first, data)) = coeffs.next()
        && let Some((other, _)) = coeffs.find(|(_, d)| *d != data)
    {
        return Err(BmodelError::Write(format!("the coefficients of net '{other}' are not those of net '{first}'")));
    }
    combine(models)
}

/// A model for each stage of each net, with the indices of net and stage.
pub fn extract(model: &Model) -> Vec<(usize, usize, Model)> {
    let mut list = Vec::new();
    for (n, net) in model.nets.iter().enumerate() {
        for (s, stage) in net.stages.iter().enumerate() {
            let one = crate::Net { stages: vec![stage.clone()], ..net.clone() };
            // The memory of a model is that of its largest stage, which may be another one.
            let neuron_size = if model.neuron_size > 0 { stage.ctx_size } else { 0 };
            list.push((n, s, Model { nets: vec![one], neuron_size, ..model.clone() }));
        }
    }
    list
}

/// The bytes of the weight that starts at `offset` of the coefficients of the first stage of net `name`.
pub fn weight_at(model: &Model, name: &str, offset: u64) -> Result<Vec<u8>, BmodelError> {
    let stage = model.net(name).and_then(|n| n.stages.first()).ok_or_else(|| no_net(model, name))?;
    let range = weight_range(stage, name, offset)?;
    Ok(stage.coeff.as_ref().and_then(|c| c.data.get(range)).unwrap_or_default().to_vec())
}

/// Replaces that weight by one of the same size.
pub fn set_weight_at(model: &mut Model, name: &str, offset: u64, bytes: &[u8]) -> Result<(), BmodelError> {
    let missing = no_net(model, name);
    let stage = model.nets.iter_mut().find(|n| n.name == name).and_then(|n| n.stages.first_mut()).ok_or(missing)?;
    let range = weight_range(stage, name, offset)?;
    if range.len() != bytes.len() {
        return Err(BmodelError::Write(format!("the weight at {offset:#x} of net '{name}' has {} bytes, the new one {}", range.len(), bytes.len())));
    }
    if let Some(coeff) = &mut stage.coeff {
        let mut data = coeff.data.to_vec();
        data[range].copy_from_slice(bytes);
        coeff.data = Blob::from(data);
    }
    Ok(())
}

fn no_net(model: &Model, name: &str) -> BmodelError {
    let names: Vec<_> = model.nets.iter().map(|n| n.name.as_str()).collect();
    BmodelError::Write(format!("there is no net '{name}'; the nets are: {}", names.join(", ")))
}

fn weight_range(stage: &Stage, name: &str, offset: u64) -> Result<std::ops::Range<usize>, BmodelError> {
    let coeff = stage.coeff.as_ref();
    let found = coeff.and_then(|c| c.locations.iter().find(|l| l.offset == offset));
    let range = found.and_then(|l| Some(usize::try_from(l.offset).ok()?..usize::try_from(l.offset.checked_add(l.size)?).ok()?));
    range.filter(|r| coeff.is_some_and(|c| r.end <= c.data.len())).ok_or_else(|| BmodelError::Write(format!("no weight of net '{name}' starts at {offset:#x} (model_tool --weight lists them)")))
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
    fn taken_apart_and_weights_changed() {
        let mut all = combine(vec![model("A", "n", 1), model("A", "m", 1), model("A", "n", 2)]).unwrap();
        let parts = extract(&all);
        assert_eq!(parts.iter().map(|(n, s, m)| (*n, *s, m.nets[0].name.as_str(), m.nets[0].stages.len())).collect::<Vec<_>>(), [(0, 0, "n", 1), (0, 1, "n", 1), (1, 0, "m", 1)]);
        let locations = vec![Location { name: "w".into(), offset: 1, size: 2 }];
        all.nets[1].stages[0].coeff = Some(Coeff { locations, ..Coeff::new(0, vec![1, 2, 3, 4]) });
        assert_eq!(weight_at(&all, "m", 1).unwrap(), [2, 3]);
        set_weight_at(&mut all, "m", 1, &[8, 9]).unwrap();
        assert_eq!(weight_at(&all, "m", 1).unwrap(), [8, 9]);
        assert!(set_weight_at(&mut all, "m", 1, &[8]).unwrap_err().to_string().contains("has 2 bytes"));
        assert!(weight_at(&all, "m", 2).unwrap_err().to_string().contains("starts at 0x2"));
        assert!(weight_at(&all, "k", 1).unwrap_err().to_string().contains("n, m"));
        assert!(combine_same_coeff(vec![all, model("A", "k", 1)]).unwrap_err().to_string().contains("not those of net"));
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

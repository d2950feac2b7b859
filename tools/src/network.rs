//! Networks from files: `.mlir` as it is, `.onnx` imported and canonicalized.

use crate::cli::Failure;
use std::path::Path;
use tpuc_dialects::{Module, pass};
use tpuc_frontend::{ImportOptions, Imported};
use tpuc_imageio::samples::NetInput;
use tpuc_ops::{Attr, Op, Program, ValueId};
use tpuc_tensor::WeightStore;

/// A network and its weights.
pub struct Network {
    pub program: Program,
    pub weights: WeightStore,
}

impl Network {
    /// Reads a `.mlir` or `.onnx` file.
    pub fn read(path: &Path) -> Result<Network, Failure> {
        match extension(path).as_str() {
            "mlir" => {
                let context = tpuc_dialects::context();
                Network::of(&Module::read(&context, path)?)
            }
            "onnx" => {
                let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
                let imported = tpuc_frontend::import(path, &ImportOptions { model_name: stem, ..Default::default() })?;
                let context = tpuc_dialects::context();
                Network::of(&canonical(&context, &imported)?)
            }
            other => Err(Failure::work(format!("{}: cannot run models of type '{other}'; supported: onnx, mlir, bmodel", path.display()))),
        }
    }

    pub fn of(module: &Module) -> Result<Network, Failure> {
        let (program, mut weights) = (module.program()?, module.weights()?);
        program.type_half_weights(&mut weights);
        Ok(Network { program, weights })
    }

    /// Names, shapes and preprocessing of the inputs.
    pub fn inputs(&self) -> Result<Vec<NetInput>, Failure> {
        tpuc_passes::net_inputs(&self.program).map_err(Failure::Work)
    }

    /// `TOP_F32`, `TPU_LOWERED`...
    pub fn state(&self) -> &str {
        attribute(&self.program, "module.state")
    }
}

/// A text attribute of the module, empty if there is none.
pub fn attribute<'p>(program: &'p Program, name: &str) -> &'p str {
    match program.attrs.get(name) {
        Some(Attr::Str(text)) => text,
        _ => "",
    }
}

/// Names and shapes of values, for programs.
pub fn tensors(program: &Program, values: &[ValueId]) -> Vec<serde_json::Value> {
    let one = |&v: &ValueId| serde_json::json!({ "name": program.value(v).name, "shape": program.tensor_type(v).map(|t| t.dims()) });
    values.iter().map(one).collect()
}

/// An imported network as a module, canonicalized.
pub fn canonical<'c>(context: &'c melior::Context, imported: &Imported) -> Result<Module<'c>, Failure> {
    let mut module = Module::from_program(context, &imported.program, imported.weights.clone())?;
    tpuc_passes::register_all();
    pass::run_pipeline(&mut module, tpuc_passes::TOP_PIPELINE)?;
    Ok(module)
}

/// An imported network that runs: as it was read, but for ops of several results, which become one op a result.
pub fn runnable(imported: &Imported) -> Result<Network, Failure> {
    if !imported.program.nodes.iter().any(|n| matches!(n.op, Op::TopSplit(_))) {
        return Ok(Network { program: imported.program.clone(), weights: imported.weights.clone() });
    }
    let context = tpuc_dialects::context();
    let mut module = Module::from_program(&context, &imported.program, imported.weights.clone())?;
    pass::run_pipeline(&mut module, "builtin.module(top-split-to-slice)")?;
    Ok(Network { program: module.program()?, weights: module.weights()? })
}

/// A file's extension in lower case.
pub fn extension(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

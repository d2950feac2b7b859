//! Modules: from text and bytecode, to text, to and from [`Program`].

use crate::arrays::Arrays;
use crate::context::Diagnostics;
use crate::convert;
use crate::ffi::{self, string_ref};
use crate::{nesting, probe, store};
use melior::Context;
use mlir_sys::*;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use tpuc_ops::{Attr, Op, OpError, Program, Source, ValueId, ValueType};
use tpuc_tensor::WeightStore;

/// A module could not be read or built.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    #[error(transparent)]
    File(#[from] tpuc_tensor::file::FileError),
    #[error("{0}")]
    Parse(String),
    /// Every unknown op of the text with the line of its first use.
    #[error("{file}: unsupported ops: {}", ops.iter().map(|(name, line)| format!("{name} (line {line})")).collect::<Vec<_>>().join(", "))]
    Unsupported { file: String, ops: Vec<(String, usize)> },
    #[error(transparent)]
    Op(#[from] OpError),
    #[error("{0}")]
    Structure(String),
}

/// A module that this side owns.
pub struct Module<'c> {
    context: &'c Context,
    inner: melior::ir::Module<'c>,
}

impl<'c> Module<'c> {
    /// Reads a module from a file; weights are looked for beside it.
    pub fn read(context: &'c Context, path: &Path) -> Result<Module<'c>, ModuleError> {
        let bytes = tpuc_tensor::file::read(path)?;
        let module = Module::parse(context, &bytes, &path.display().to_string())?;
        store::set_folder(context, path.parent().map_or_else(PathBuf::new, Path::to_path_buf));
        Ok(module)
    }

    /// Parses text or bytecode; `name` stands for the file in messages.
    pub fn parse(context: &'c Context, source: &[u8], name: &str) -> Result<Module<'c>, ModuleError> {
        if !source.starts_with(probe::MAGIC) {
            let text = std::str::from_utf8(source).map_err(|e| ModuleError::Parse(format!("{name}: not MLIR: not UTF-8 text at byte {}", e.valid_up_to())))?;
            if let Some(at) = text.find('\0') {
                return Err(ModuleError::Parse(format!("{name}: not MLIR: a zero byte at {at}")));
            }
            scan(text, name)?;
        } else {
            probe::check(source, name).map_err(ModuleError::Parse)?;
        }
        let diagnostics = Diagnostics::capture(context);
        // The parser wants its buffer to end with a zero byte behind the length.
        let mut buffer = source.to_vec();
        buffer.push(0);
        let source = MlirStringRef { data: buffer.as_ptr().cast(), length: buffer.len() - 1 };
        // SAFETY: the buffer outlives the call; the result is owned here.
        let inner = unsafe {
            let operation = mlirOperationCreateParse(context.to_raw(), source, string_ref(name));
            if operation.ptr.is_null() {
                return Err(ModuleError::Parse(diagnostics.first()));
            }
            melior::ir::Module::from_operation(melior::ir::Operation::from_raw(operation))
        };
        let inner = inner.ok_or_else(|| ModuleError::Parse(format!("{name}: not a module")))?;
        Ok(Module { context, inner })
    }

    /// A module that holds a program.
    pub fn from_program(context: &'c Context, program: &Program, weights: WeightStore) -> Result<Module<'c>, ModuleError> {
        let inner = melior::ir::Module::new(melior::ir::Location::unknown(context));
        let module = Module { context, inner };
        write_program(module.raw(), program, &Arrays::default())?;
        let file = match program.attrs.get("module.weight_file") {
            Some(Attr::Str(file)) => file.clone(),
            _ => return Err(ModuleError::Structure("the program names no weight file".into())),
        };
        store::put(module.raw(), &file, weights);
        Ok(module)
    }

    pub fn context(&self) -> &'c Context {
        self.context
    }

    pub fn melior(&mut self) -> &mut melior::ir::Module<'c> {
        &mut self.inner
    }

    pub(crate) fn raw(&self) -> MlirOperation {
        unsafe { mlirModuleGetOperation(self.inner.to_raw()) }
    }

    /// Checks all ops; the error is the first diagnostic.
    pub fn verify(&self) -> Result<(), ModuleError> {
        let diagnostics = Diagnostics::capture(self.context);
        if unsafe { mlirOperationVerify(self.raw()) } { Ok(()) } else { Err(ModuleError::Parse(diagnostics.first())) }
    }

    pub fn program(&self) -> Result<Program, ModuleError> {
        read_program(self.raw())
    }

    /// The weights that belong to this module.
    pub fn weights(&self) -> Result<WeightStore, ModuleError> {
        store::get(self.raw())
    }

    /// The text with locations, as files hold it.
    pub fn text(&self) -> String {
        let text = ffi::collect(|callback, data| unsafe {
            let flags = mlirOpPrintingFlagsCreate();
            mlirOpPrintingFlagsEnableDebugInfo(flags, true, false);
            mlirOperationPrintWithFlags(self.raw(), flags, callback, data);
            mlirOpPrintingFlagsDestroy(flags);
        });
        let mut text = String::from_utf8_lossy(&text).into_owned();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text
    }

    /// Adds attributes for readers that passes do not look at: some to the module, and `attribute` to each op whose name `of_ops` has.
    pub fn annotate(&mut self, of_module: &[(&str, Attr)], of_ops: &HashMap<&str, Attr>, attribute: &str) {
        let context = unsafe { mlirOperationGetContext(self.raw()) };
        let set = |op: MlirOperation, name: &str, value: &Attr| unsafe { mlirOperationSetAttributeByName(op, string_ref(name), convert::to_attribute(context, value)) };
        of_module.iter().for_each(|(name, value)| set(self.raw(), name, value));
        for op in operations(self.raw()).into_iter().flat_map(operations) {
            let names = convert::location_names(unsafe { mlirOperationGetLocation(op) });
            if let Some(value) = names.first().and_then(|n| of_ops.get(n.as_str())) {
                set(op, attribute, value);
            }
        }
    }

    /// Writes the text to `path` and the weights beside it, each whole or not at all. Weights that were read from that very
    /// file and never replaced are left alone.
    pub fn write(&self, path: &Path) -> Result<(), ModuleError> {
        let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        store::flush(self.raw(), &folder)?;
        tpuc_tensor::file::write(path, self.text().as_bytes())?;
        Ok(())
    }
}

/// Ops that our dialects do not have, and nesting that no network has, found before the parser runs.
fn scan(text: &str, name: &str) -> Result<(), ModuleError> {
    nesting::check(text.as_bytes()).map_err(|line| ModuleError::Parse(format!("{name}:{line}: nested too deeply")))?;
    let unknown = unknown_ops(text);
    if unknown.is_empty() { Ok(()) } else { Err(ModuleError::Unsupported { file: name.to_owned(), ops: unknown }) }
}

/// Ops with the names of our dialects that these do not have, each with the line of its first use.
fn unknown_ops(text: &str) -> Vec<(String, usize)> {
    let mut unknown: Vec<(String, usize)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for dialect in ["\"top.", "\"tpu."] {
            let Some(at) = line.find(dialect) else { continue };
            let Some(op) = line[at + 1..].split('"').next() else { continue };
            let is_op = line[at + 1 + op.len()..].starts_with("\"(");
            if is_op && Op::spec_of(op).is_none() && !unknown.iter().any(|(n, _)| n == op) {
                unknown.push((op.to_owned(), index + 1));
            }
        }
    }
    unknown
}

/// All operations directly inside an operation's first region's blocks.
fn operations(op: MlirOperation) -> Vec<MlirOperation> {
    let mut list = Vec::new();
    unsafe {
        for region in 0..mlirOperationGetNumRegions(op) {
            let mut block = mlirRegionGetFirstBlock(mlirOperationGetRegion(op, region));
            while !block.ptr.is_null() {
                let mut inner = mlirBlockGetFirstOperation(block);
                while !inner.ptr.is_null() {
                    list.push(inner);
                    inner = mlirOperationGetNextInBlock(inner);
                }
                block = mlirBlockGetNextInRegion(block);
            }
        }
    }
    list
}

fn main_function(module: MlirOperation) -> Result<MlirOperation, ModuleError> {
    let named_main = |&op: &MlirOperation| {
        convert::op_name(op) == "func.func" && convert::attributes(op, |_| None).iter().any(|(n, a)| n == "sym_name" && *a == Attr::Str("main".into()))
    };
    operations(module).into_iter().find(named_main).ok_or_else(|| ModuleError::Structure("the module has no function @main".into()))
}

/// The function @main of a module, flat.
pub(crate) fn read_program(module: MlirOperation) -> Result<Program, ModuleError> {
    let function = main_function(module)?;
    let attributes = convert::attributes(module, |_| None);
    let mut program = Program::default();
    for (name, value) in attributes {
        match (name.as_str(), value) {
            ("sym_name", Attr::Str(text)) => program.name = text,
            (_, value) if name.starts_with("module.") => {
                program.attrs.insert(name, value);
            }
            _ => {}
        }
    }
    let body = operations(function);
    let mut values: HashMap<usize, ValueId> = HashMap::new();
    let key = |value: MlirValue| value.ptr as usize;
    let structure = |op: MlirOperation, reason: String| ModuleError::Structure(format!("{}: '{}': {reason}", convert::location_text(unsafe { mlirOperationGetLocation(op) }), convert::op_name(op)));
    unsafe {
        let block = mlirRegionGetFirstBlock(mlirOperationGetRegion(function, 0));
        if block.ptr.is_null() {
            return Err(ModuleError::Structure("function @main has no body".into()));
        }
        for index in 0..mlirBlockGetNumArguments(block) {
            let argument = mlirBlockGetArgument(block, index);
            let ty = convert::value_type(mlirValueGetType(argument)).map_err(|r| structure(function, r))?;
            let ty = ty.tensor().cloned().ok_or_else(|| structure(function, format!("argument {index} is not a tensor")))?;
            let id = program.add_input(format!("arg{index}"), ty);
            values.insert(key(argument), id);
        }
    }
    for op in body {
        let name = convert::op_name(op);
        let operands = unsafe {
            (0..mlirOperationGetNumOperands(op))
                .map(|i| values.get(&key(mlirOperationGetOperand(op, i))).copied().ok_or_else(|| structure(op, format!("operand {i} is from elsewhere"))))
                .collect::<Result<Vec<_>, _>>()?
        };
        if matches!(name.as_str(), "func.return" | "return") {
            program.outputs = operands;
            continue;
        }
        let names = convert::location_names(unsafe { mlirOperationGetLocation(op) });
        let layer = || names.join(", ");
        let types = convert::result_types(op).into_iter().map(convert::value_type).collect::<Result<Vec<_>, _>>().map_err(|r| structure(op, r))?;
        let op_struct = convert::op_of(op).map_err(|e| e.at(&layer()))?;
        let results: Vec<ValueId> = match &op_struct {
            Op::TopNone(_) => vec![program.none()],
            Op::TopWeight(_) => {
                let ty = types.first().and_then(ValueType::tensor).cloned().ok_or_else(|| structure(op, "is not a tensor".into()))?;
                vec![program.add_weight(layer(), ty)]
            }
            _ => {
                let mut list = Vec::new();
                for (index, ty) in types.into_iter().enumerate() {
                    let name = names.get(index).or(names.first()).cloned().unwrap_or_default();
                    list.push((name, ty));
                }
                if matches!(op_struct, Op::TopInput(_)) {
                    if let (Some(&argument), Some((name, _))) = (operands.first(), list.first()) {
                        program.values[argument.index()].name = name.clone();
                    }
                }
                program.push_results(op_struct, &operands, list)
            }
        };
        for (index, id) in results.into_iter().enumerate() {
            values.insert(key(unsafe { mlirOperationGetResult(op, index as isize) }), id);
        }
    }
    if program.outputs.is_empty() {
        return Err(ModuleError::Structure("function @main returns nothing".into()));
    }
    Ok(program)
}

/// Replaces what a module holds by a program: attributes and function @main. `arrays` has attributes that are made already.
pub(crate) fn write_program(module: MlirOperation, program: &Program, arrays: &Arrays) -> Result<(), ModuleError> {
    for old in operations(module) {
        unsafe { mlirOperationDestroy(old) };
    }
    let context = unsafe { mlirOperationGetContext(module) };
    unsafe {
        let set = |name: &str, value: &Attr| mlirOperationSetAttributeByName(module, string_ref(name), convert::to_attribute(context, value));
        set("sym_name", &Attr::Str(program.name.clone()));
        for (name, value) in &program.attrs {
            set(name, value);
        }
    }
    let unknown = unsafe { mlirLocationUnknownGet(context) };
    let typed = |id: ValueId| convert::to_type(context, &program.value(id).ty).map_err(|r| ModuleError::Structure(format!("layer '{}': {r}", program.value(id).name)));
    let inputs = program.inputs.iter().map(|&i| typed(i)).collect::<Result<Vec<_>, _>>()?;
    let outputs = program.outputs.iter().map(|&o| typed(o)).collect::<Result<Vec<_>, _>>()?;
    unsafe {
        let block = mlirBlockCreate(inputs.len() as isize, inputs.as_ptr(), vec![unknown; inputs.len()].as_ptr());
        let mut writer = Writer { context, block, program, arrays, values: vec![None; program.values.len()] };
        for (index, &id) in program.inputs.iter().enumerate() {
            writer.values[id.index()] = Some(mlirBlockGetArgument(block, index as isize));
        }
        let used: HashSet<ValueId> = program.nodes.iter().flat_map(|n| n.operands.iter().copied()).collect();
        for (index, value) in program.values.iter().enumerate() {
            if value.source == Source::None && used.contains(&ValueId(index as u32)) {
                writer.constant(ValueId(index as u32))?;
            }
        }
        let written = (0..program.nodes.len()).try_for_each(|node| writer.node(node)).and_then(|()| {
            let results = program.outputs.iter().map(|&o| writer.value(o)).collect::<Result<Vec<_>, _>>()?;
            mlirBlockAppendOwnedOperation(block, convert::create(context, "func.return", &[], &results, &[], unknown));
            Ok(())
        });
        if let Err(error) = written {
            mlirBlockDestroy(block);
            return Err(error);
        }
        let ty = mlirFunctionTypeGet(context, inputs.len() as isize, inputs.as_ptr(), outputs.len() as isize, outputs.as_ptr());
        let region = mlirRegionCreate();
        mlirRegionAppendOwnedBlock(region, block);
        let mut state = mlirOperationStateGet(string_ref("func.func"), unknown);
        let named = |name: &str, value: MlirAttribute| mlirNamedAttributeGet(mlirIdentifierGet(context, string_ref(name)), value);
        let attributes = [named("sym_name", mlirStringAttrGet(context, string_ref("main"))), named("function_type", mlirTypeAttrGet(ty))];
        mlirOperationStateAddAttributes(&mut state, 2, attributes.as_ptr());
        mlirOperationStateAddOwnedRegions(&mut state, 1, &region);
        let function = mlirOperationCreate(&mut state);
        mlirBlockAppendOwnedOperation(mlirModuleGetBody(mlirModuleFromOperation(module)), function);
    }
    Ok(())
}

/// Appends a program's ops to a block.
struct Writer<'a> {
    context: MlirContext,
    block: MlirBlock,
    program: &'a Program,
    arrays: &'a Arrays,
    values: Vec<Option<MlirValue>>,
}

impl Writer<'_> {
    unsafe fn append(&mut self, op: &Op, operands: &[MlirValue], results: &[ValueId], names: &[String]) -> Result<(), ModuleError> {
        let types = results
            .iter()
            .map(|&r| convert::to_type(self.context, &self.program.value(r).ty).map_err(|reason| ModuleError::Structure(format!("layer '{}': {reason}", names.join(", ")))))
            .collect::<Result<Vec<_>, _>>()?;
        let attributes: Vec<_> = op.to_attrs().into_iter().map(|(name, value)| (name, self.arrays.attribute(self.context, &value))).collect();
        let location = convert::to_location(self.context, names);
        let operation = convert::create(self.context, op.name(), &attributes, operands, &types, location);
        if operation.ptr.is_null() {
            return Err(ModuleError::Structure(format!("layer '{}': {} cannot be built", names.join(", "), op.name())));
        }
        unsafe {
            mlirBlockAppendOwnedOperation(self.block, operation);
            for (index, &id) in results.iter().enumerate() {
                self.values[id.index()] = Some(mlirOperationGetResult(operation, index as isize));
            }
        }
        Ok(())
    }

    /// A weight or an absent operand.
    fn constant(&mut self, id: ValueId) -> Result<(), ModuleError> {
        let value = self.program.value(id);
        let (op, names) = match value.source {
            Source::None => (Op::TopNone(Default::default()), vec![]),
            _ => (Op::TopWeight(Default::default()), vec![value.name.clone()]),
        };
        unsafe { self.append(&op, &[], &[id], &names) }
    }

    /// A value that has been written; weights are written where they are first used.
    fn value(&mut self, id: ValueId) -> Result<MlirValue, ModuleError> {
        if self.values[id.index()].is_none() && matches!(self.program.value(id).source, Source::Weight | Source::None) {
            self.constant(id)?;
        }
        self.values[id.index()].ok_or_else(|| ModuleError::Structure(format!("layer '{}' is read before it is computed", self.program.value(id).name)))
    }

    fn node(&mut self, index: usize) -> Result<(), ModuleError> {
        let program = self.program;
        let node = &program.nodes[index];
        let operands = node.operands.iter().map(|&v| self.value(v)).collect::<Result<Vec<_>, _>>()?;
        let present = node.results.iter().map(|&r| program.value(r)).filter(|v| !v.ty.is_none());
        let names: Vec<String> = present.map(|v| v.name.clone()).collect();
        unsafe { self.append(&node.op, &operands, &node.results, &names) }
    }
}

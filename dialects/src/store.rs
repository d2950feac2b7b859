//! The weights of modules. A module names its weight file (`module.weight_file`); in memory the weights travel beside the
//! module: read once when first asked for, replaced as a whole by passes, written when the module is written.

use crate::convert;
use crate::module::ModuleError;
use melior::Context;
use mlir_sys::{MlirOperation, mlirOperationGetContext};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard};
use tpuc_ops::Attr;
use tpuc_tensor::WeightStore;
use tpuc_tensor::file::FileError;

/// Weights of one file name within one context.
struct Entry {
    weights: WeightStore,
    /// Not on disk yet.
    dirty: bool,
}

#[derive(Default)]
struct Stores {
    /// Where the files of a context's modules are.
    folders: HashMap<usize, PathBuf>,
    entries: HashMap<(usize, String), Entry>,
    /// For contexts without a folder of their own: the driver's input file.
    default_folder: Option<PathBuf>,
    /// Files that weights were read from.
    sources: HashSet<PathBuf>,
}

static STORES: LazyLock<Mutex<Stores>> = LazyLock::new(Mutex::default);

fn stores() -> MutexGuard<'static, Stores> {
    STORES.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn key(module: MlirOperation) -> usize {
    unsafe { mlirOperationGetContext(module).ptr as usize }
}

fn weight_file(module: MlirOperation) -> Result<String, ModuleError> {
    let attributes = convert::attributes(module, |_| None);
    match attributes.into_iter().find(|(n, _)| n == "module.weight_file") {
        Some((_, Attr::Str(file))) => Ok(file),
        _ => Err(ModuleError::Structure("the module has no attribute 'module.weight_file'".into())),
    }
}

/// Where the weight files of this context's modules are looked for first.
pub fn set_folder(context: &Context, folder: PathBuf) {
    stores().folders.insert(crate::context::raw(context).ptr as usize, folder);
}

/// Where the weight files of contexts without a folder are looked for first.
pub fn set_default_folder(folder: PathBuf) {
    stores().default_folder = Some(folder);
}

/// Forgets what an earlier context at the same address had.
pub(crate) fn forget(context: &Context) {
    let key = crate::context::raw(context).ptr as usize;
    let mut stores = stores();
    stores.folders.remove(&key);
    stores.entries.retain(|(context, _), _| *context != key);
}

/// The weights of a module. Cheap after the first call: tensors are shared.
pub fn get(module: MlirOperation) -> Result<WeightStore, ModuleError> {
    let file = weight_file(module)?;
    let context = key(module);
    let mut stores = stores();
    if let Some(entry) = stores.entries.get(&(context, file.clone())) {
        return Ok(entry.weights.clone());
    }
    let beside = stores.folders.get(&context).or(stores.default_folder.as_ref()).map(|f| f.join(&file)).filter(|p| p.exists());
    let path = beside.unwrap_or_else(|| PathBuf::from(&file));
    if !path.exists() {
        return Err(FileError::new(&path, "the module's weight file is missing").into());
    }
    let weights = WeightStore::load(&path)?;
    stores.sources.extend(std::fs::canonicalize(&path));
    stores.entries.insert((context, file), Entry { weights: weights.clone(), dirty: false });
    Ok(weights)
}

/// Gives a module new weights under a file name (the module's attribute is the caller's business).
pub fn put(module: MlirOperation, file: &str, weights: WeightStore) {
    stores().entries.insert((key(module), file.to_owned()), Entry { weights, dirty: true });
}

/// Gives changed weights of a module another file name, beginning with `stem`, if writing them into `folder` would replace a file that
/// weights were read from. The new name, which the module's attribute must get.
pub(crate) fn rename_source(module: MlirOperation, folder: &Path, stem: Option<&str>) -> Option<String> {
    let file = weight_file(module).ok()?;
    let mut stores = stores();
    let is_source = |stores: &Stores, name: &str| std::fs::canonicalize(folder.join(name)).is_ok_and(|p| stores.sources.contains(&p));
    let key = (key(module), file.clone());
    if !stores.entries.get(&key).is_some_and(|e| e.dirty) || !is_source(&stores, &file) {
        return None;
    }
    let stem = stem.map_or_else(|| format!("{}_opt", file.trim_end_matches(".npz")), |s| format!("{s}_weight"));
    let mut name = format!("{stem}.npz");
    let mut number = 1;
    while is_source(&stores, &name) {
        number += 1;
        name = format!("{stem}_{number}.npz");
    }
    let entry = stores.entries.remove(&key)?;
    stores.entries.insert((key.0, name.clone()), entry);
    Some(name)
}

/// Writes a module's weights into `folder` if they are not on disk.
pub fn flush(module: MlirOperation, folder: &Path) -> Result<(), ModuleError> {
    let file = weight_file(module)?;
    let mut stores = stores();
    if let Some(entry) = stores.entries.get_mut(&(key(module), file.clone())).filter(|e| e.dirty) {
        entry.weights.save(&folder.join(&file))?;
        entry.dirty = false;
    }
    Ok(())
}

/// Writes every store that is not on disk into `folder`, for drivers that end with their modules.
pub fn flush_all(folder: &Path) -> Result<(), ModuleError> {
    for ((_, file), entry) in stores().entries.iter_mut().filter(|(_, e)| e.dirty) {
        entry.weights.save(&folder.join(file))?;
        entry.dirty = false;
    }
    Ok(())
}

//! The weights of a module: named tensors, shared and copied on write.

use crate::file::FileError;
use crate::tensor::Tensor;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Named weights. Cloning shares the tensors; inserting replaces one name in this store only, so no pass ever changes
/// what another module sees, and the user's npz is never rewritten.
#[derive(Debug, Clone, Default)]
pub struct WeightStore {
    tensors: HashMap<String, Arc<Tensor>>,
    order: Vec<String>,
}

impl WeightStore {
    pub fn new() -> WeightStore {
        WeightStore::default()
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Tensor>> {
        self.tensors.get(name)
    }

    pub fn insert(&mut self, name: impl Into<String>, tensor: impl Into<Arc<Tensor>>) {
        let name = name.into();
        if self.tensors.insert(name.clone(), tensor.into()).is_none() {
            self.order.push(name);
        }
    }

    pub fn remove(&mut self, name: &str) -> Option<Arc<Tensor>> {
        let removed = self.tensors.remove(name);
        if removed.is_some() {
            self.order.retain(|n| n != name);
        }
        removed
    }

    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Names and tensors in the order of their first insertion.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<Tensor>)> {
        self.order.iter().filter_map(|n| self.tensors.get(n).map(|t| (n.as_str(), t)))
    }

    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// Reads every array of an npz file.
    pub fn load(path: &Path) -> Result<WeightStore, FileError> {
        let mut store = WeightStore::new();
        for (name, tensor) in crate::npz::read_npz(path)? {
            store.insert(name, tensor);
        }
        Ok(store)
    }

    /// Writes every tensor as an npz file (whole or not at all).
    pub fn save(&self, path: &Path) -> Result<(), FileError> {
        crate::npz::write_npz(path, self.iter().map(|(n, t)| (n, t.as_ref())))
    }
}

//! The texts, kernels and buffers of `plan.json`, each listed once.

use std::collections::HashMap;

use serde::Serialize;

use crate::exec::gpu::{RecordedBuffer, RecordedDispatch};
use crate::plan::{Element, Plan};

/// The lists that programs refer to by index.
#[derive(Default, Serialize)]
pub struct Tables {
    texts: Vec<String>,
    kernels: Vec<PageKernel>,
    buffers: Vec<PageBuffer>,
    #[serde(skip)]
    text_indices: HashMap<String, usize>,
    #[serde(skip)]
    kernel_indices: HashMap<PageKernel, usize>,
}

/// A kernel as pieces of text.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
struct PageKernel {
    entry: &'static str,
    texts: Vec<usize>,
    /// For each binding, whether the kernel writes it.
    writes: Vec<bool>,
}

/// A buffer that the page creates.
#[derive(PartialEq, Serialize)]
struct PageBuffer {
    name: String,
    bytes: u64,
    shape: Option<Vec<usize>>,
    element: Option<&'static str>,
    init: PageBufferStart,
}

/// What a buffer holds at first.
#[derive(PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum PageBufferStart {
    Zeros,
    Weights,
    #[serde(untagged)]
    Words(Vec<u32>),
}

impl Tables {
    /// The index of a dispatch's kernel.
    pub fn kernel(&mut self, dispatch: RecordedDispatch) -> usize {
        let texts = dispatch.pieces.into_iter().filter(|text| !text.is_empty());
        let kernel = PageKernel {
            entry: dispatch.entry,
            texts: texts.map(|text| self.text(text)).collect(),
            writes: dispatch.bindings.iter().map(|b| b.writes).collect(),
        };
        let kernels = &mut self.kernels;
        *(self.kernel_indices.entry(kernel)).or_insert_with_key(|kernel| {
            kernels.push(kernel.clone());
            kernels.len() - 1
        })
    }

    fn text(&mut self, text: String) -> usize {
        let texts = &mut self.texts;
        *(self.text_indices.entry(text)).or_insert_with_key(|text| {
            texts.push(text.clone());
            texts.len() - 1
        })
    }

    /// The index of a buffer of a program. All programs share the arenas.
    pub fn buffer(&mut self, program: &str, plan: &Plan, buffer: RecordedBuffer) -> usize {
        let tensor = buffer.tensor().map(|id| plan.buffer(id));
        let init = match (buffer.starts_as_weights(), buffer.words.is_empty()) {
            (true, _) => PageBufferStart::Weights,
            (false, true) => PageBufferStart::Zeros,
            (false, false) => PageBufferStart::Words(buffer.words.clone()),
        };
        let is_shared = buffer.is_shared();
        let made = PageBuffer {
            name: match is_shared {
                true => buffer.name,
                false => format!("{program}/{}", buffer.name),
            },
            bytes: buffer.bytes,
            shape: tensor.map(|t| t.shape.clone()),
            element: tensor.map(|t| match t.element {
                Element::F32 => "f32",
                Element::U32 => "u32",
            }),
            init,
        };
        let known = self.buffers.iter().position(|other| *other == made);
        known.filter(|_| is_shared).unwrap_or_else(|| {
            self.buffers.push(made);
            self.buffers.len() - 1
        })
    }
}

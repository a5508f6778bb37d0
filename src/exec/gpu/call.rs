//! A kernel call as text: entry point, WGSL, bindings and grid.

use std::fmt::Write as _;

use crate::model::Activation;
use crate::plan::Element;

/// Vectors per row of an image copy, for all adapters, as kernels compute addresses with it. With the 8,192 rows that every adapter allows, an image of
/// single floats holds 128 MiB, as much as a storage buffer.
pub const ROW: u32 = 4096;

/// The value of one load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vector {
    /// Values side by side, 1 or 4.
    pub width: usize,
    /// Their type.
    pub element: Element,
}

impl Vector {
    /// `width` floats.
    pub fn floats(width: usize) -> Self {
        Self {
            width,
            element: Element::F32,
        }
    }

    /// `width` words.
    pub fn words(width: usize) -> Self {
        Self {
            width,
            element: Element::U32,
        }
    }

    /// Size in bytes.
    pub fn bytes(self) -> u32 {
        4 * self.width as u32
    }

    /// Its type in WGSL.
    fn wgsl(self) -> String {
        let scalar = match self.element {
            Element::F32 => "f32",
            Element::U32 => "u32",
        };
        match self.width {
            4 => format!("vec4<{scalar}>"),
            _ => scalar.to_owned(),
        }
    }

    /// The swizzle that extracts it from the vec4 of an image load.
    fn swizzle(self) -> &'static str {
        match self.width {
            4 => "",
            _ => ".x",
        }
    }

    /// The name of its image format in WGSL.
    fn format_name(self) -> &'static str {
        match (self.element, self.width) {
            (Element::F32, 4) => "rgba32float",
            (Element::F32, _) => "r32float",
            (Element::U32, 4) => "rgba32uint",
            (Element::U32, _) => "r32uint",
        }
    }
}

/// One dispatch before its buffers exist; `B` names them.
#[derive(Clone, Debug, PartialEq)]
pub struct Call<B> {
    /// The kernel's name, which is its entry point.
    pub entry: &'static str,
    /// Its WGSL, without the common part.
    text: String,
    /// `const` and `alias` lines.
    header: String,
    /// Declarations of tensors that the text reads through functions.
    declarations: String,
    /// The activation behind `activate` and `derivative`.
    activation: Activation,
    /// Invocations per workgroup.
    workgroup: usize,
    /// Number of invocations.
    invocations: usize,
    /// Values, or vectors of them, that one invocation loads from its largest operand.
    loads: usize,
    /// The buffers in binding order.
    pub bindings: Vec<(B, Access)>,
}

/// How a kernel accesses a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`
    Write,
    /// `texture_storage_2d<_, read>`: an image copy of such vectors.
    Image(Vector),
}

impl<B> Call<B> {
    /// A call of `entry` in `text` with `workgroup` invocations per workgroup, for cells of one
    /// float.
    pub fn new(entry: &'static str, text: impl Into<String>, workgroup: usize) -> Self {
        Self {
            entry,
            text: text.into(),
            header: String::new(),
            declarations: String::new(),
            activation: Activation::Linear,
            workgroup,
            invocations: 0,
            loads: 1,
            bindings: Vec::new(),
        }
        .cells(1)
    }

    /// Handles `width` (1 or 4) floats at a time.
    pub fn cells(mut self, width: usize) -> Self {
        let names = match width {
            4 => ["vec4<f32>", "vec4<u32>", "vec4<bool>"],
            _ => ["f32", "u32", "bool"],
        };
        self.header.clear();
        for (alias, name) in ["Cell", "Words", "Bools"].iter().zip(names) {
            let _ = writeln!(self.header, "alias {alias} = {name};");
        }
        self.header += match width {
            4 => "const LANES = Words(0u, 1u, 2u, 3u);\n",
            _ => "const LANES = 0u;\n",
        };
        self
    }

    /// Adds unsigned constants.
    pub fn sizes(mut self, sizes: &[(&str, usize)]) -> Self {
        for (name, value) in sizes {
            let _ = writeln!(self.header, "const {name} = {value}u;");
        }
        self
    }

    /// Adds float constants, as the shortest text that reads back as the same f32.
    pub fn numbers(mut self, numbers: &[(&str, f32)]) -> Self {
        for (name, value) in numbers {
            let _ = writeln!(self.header, "const {name} = f32({value:?});");
        }
        self
    }

    /// Sets the activation; by default linear.
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// Adds a table of floats as the function `name(i)`, which returns `values[i]`, and 1 beyond
    /// the end. Entries of 1 cost nothing. Not a `switch`: lavapipe took a wrong case for the
    /// default in one of some two hundred cases.
    pub fn table(mut self, name: &str, values: &[f32]) -> Self {
        let cases: String = (values.iter().enumerate())
            .filter(|(_, value)| **value != 1.0)
            .map(|(i, value)| format!("value = select(value, f32({value:?}), i == {i}u); "))
            .collect();
        let _ = writeln!(
            self.declarations,
            "fn {name}(i: u32) -> f32 {{ var value = 1.0; {cases}return value; }}"
        );
        self
    }

    /// Sets the minimum number of invocations.
    pub fn invocations(mut self, n: usize) -> Self {
        self.invocations = n;
        self
    }

    /// Sets how many values, or vectors of them, one invocation loads from its largest operand at
    /// most; by default 1.
    pub fn loads(mut self, n: usize) -> Self {
        self.loads = n;
        self
    }

    /// Binds the next buffer for reading.
    pub fn read(mut self, buffer: B) -> Self {
        self.bindings.push((buffer, Access::Read));
        self
    }

    /// Binds the next buffer for writing.
    pub fn write(mut self, buffer: B) -> Self {
        self.bindings.push((buffer, Access::Write));
        self
    }

    /// Binds the next buffer for reading by `load_NAME(i)`, which returns its `i`th `vector`; from
    /// an image copy if `image`.
    pub fn load(mut self, name: &str, buffer: B, vector: Vector, image: bool) -> Self {
        let at = self.bindings.len();
        let wgsl = vector.wgsl();
        let _ = if image {
            writeln!(
                self.declarations,
                "@group(1) @binding({at}) var {name}: texture_storage_2d<{}, read>;
fn load_{name}(i: u32) -> {wgsl} {{ return textureLoad({name}, vec2<u32>(i % {ROW}u, i / {ROW}u)){}; }}",
                vector.format_name(),
                vector.swizzle(),
            )
        } else {
            writeln!(
                self.declarations,
                "@group(1) @binding({at}) var<storage, read> {name}: array<{wgsl}>;
fn load_{name}(i: u32) -> {wgsl} {{ return {name}[i]; }}"
            )
        };
        let access = if image {
            Access::Image(vector)
        } else {
            Access::Read
        };
        self.bindings.push((buffer, access));
        self
    }

    /// Binds the next buffer for reading by `load_NAME_before(i)` and writing at `NAME[i]`, in
    /// Cells of four floats. An invocation reads only cells that it writes itself later.
    pub fn update(mut self, name: &str, buffer: B, image: bool) -> Self
    where
        B: Copy,
    {
        let at = self.bindings.len();
        let _ = writeln!(
            self.declarations,
            "@group(1) @binding({at}) var<storage, read_write> {name}: array<vec4<f32>>;"
        );
        self.bindings.push((buffer, Access::Write));
        if image {
            return self.load(&format!("{name}_before"), buffer, Vector::floats(4), true);
        }
        let _ = writeln!(
            self.declarations,
            "fn load_{name}_before(i: u32) -> vec4<f32> {{ return {name}[i]; }}"
        );
        self
    }

    /// Size in bytes of its own WGSL.
    pub fn text_bytes(&self) -> usize {
        self.text.len() + self.declarations.len()
    }

    /// The minimum number of invocations.
    pub fn wanted(&self) -> usize {
        self.invocations
    }

    /// Values, or vectors of them, that one invocation loads from its largest operand.
    #[cfg(test)]
    pub fn max_loads(&self) -> usize {
        self.loads
    }

    /// Its own WGSL, without the shared files.
    #[cfg(test)]
    pub fn own_text(&self) -> String {
        format!("{}{}{}", self.header, self.declarations, self.text)
    }

    /// Number of workgroups in the grid.
    #[cfg(test)]
    pub fn workgroups(&self) -> usize {
        self.invocations.div_ceil(self.workgroup).max(1)
    }

    /// The grid, folded into two axes if it exceeds the limit of one.
    pub fn grid(&self, per_axis: usize) -> [usize; 2] {
        let groups = self.invocations.div_ceil(self.workgroup).max(1);
        let y = groups.div_ceil(per_axis);
        [groups.div_ceil(y), y]
    }

    /// The whole WGSL text.
    pub fn source(&self, per_axis: usize) -> String {
        self.pieces(per_axis).concat()
    }

    /// The WGSL text in pieces, some of which are those of other calls too.
    pub fn pieces(&self, per_axis: usize) -> [String; 4] {
        let [x, _] = self.grid(per_axis);
        let activation = pointwise(self.activation);
        [
            format!(
                "{}const WORKGROUP = {}u;\nconst GRID = {x}u;\n",
                self.header, self.workgroup
            ),
            format!("{}\n", include_str!("../../../shaders/common.wgsl")),
            format!(
                "fn activate(x: Cell) -> Cell {{ return activate_{activation}(x); }}
fn derivative(y: Cell) -> Cell {{ return derivative_{activation}(y); }}
{}",
                self.declarations
            ),
            self.text.clone(),
        ]
    }
}

/// The name of an activation in `shaders/common.wgsl`. Softmax is never applied cell by cell.
pub fn pointwise(activation: Activation) -> &'static str {
    match activation {
        Activation::Softmax => Activation::Linear.name(),
        other => other.name(),
    }
}

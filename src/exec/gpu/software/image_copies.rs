//! Copies of tensors in images, for adapters that read those faster.
//!
//! A software adapter runs eight invocations in the lanes of one register. A load from a storage
//! buffer it makes lane by lane, each under the lane's mask, through the stack: 65 to 1,000 cycles
//! for eight vec4s. A load from a sampled texture is a call, before which all registers are saved: 60 to
//! 95. A load from a storage texture that is only read is neither, and takes some 20. A copy costs
//! what a copy in memory costs, 0.07 ms for the 1.4 MB of the lab network's largest tensor at batch 64.
//!
//! The copy is a table of texels: texel `i` of the tensor lies in row `i / ROW`, column `i % ROW`.

use std::sync::Arc;

use wgpu::{
    Buffer, CommandEncoder, Extent3d, Origin3d, TexelCopyBufferInfo, TexelCopyBufferLayout,
    TexelCopyTextureInfo, Texture, TextureAspect, TextureDescriptor, TextureDimension,
    TextureFormat, TextureUsages, TextureView,
};

use super::super::device::GpuDevice;
use crate::error::{Error, Result};
use crate::plan::Element;

/// Texels to a row. With the 8,192 rows that every adapter allows, a texture of single floats holds
/// the 128 MiB that a storage buffer may have.
pub const ROW: u32 = 4096;

/// What is read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Texel {
    /// Values side by side, 1 or 4.
    pub width: usize,
    /// What they are.
    pub element: Element,
}

impl Texel {
    /// A texel of floats.
    pub fn floats(width: usize) -> Self {
        Self {
            width,
            element: Element::F32,
        }
    }

    /// A texel of words.
    pub fn words(width: usize) -> Self {
        Self {
            width,
            element: Element::U32,
        }
    }

    /// The type of one value in WGSL.
    fn scalar(self) -> &'static str {
        match self.element {
            Element::F32 => "f32",
            Element::U32 => "u32",
        }
    }

    /// Its type in WGSL.
    pub fn wgsl(self) -> String {
        match self.width {
            4 => format!("vec4<{}>", self.scalar()),
            _ => self.scalar().to_owned(),
        }
    }

    /// What takes it out of the vec4 that an image gives.
    pub fn swizzle(self) -> &'static str {
        match self.width {
            4 => "",
            _ => ".x",
        }
    }

    /// The format of an image of it.
    pub fn format(self) -> TextureFormat {
        match (self.element, self.width) {
            (Element::F32, 4) => TextureFormat::Rgba32Float,
            (Element::F32, _) => TextureFormat::R32Float,
            (Element::U32, 4) => TextureFormat::Rgba32Uint,
            (Element::U32, _) => TextureFormat::R32Uint,
        }
    }

    /// The name of the format in WGSL.
    pub fn format_name(self) -> &'static str {
        match (self.element, self.width) {
            (Element::F32, 4) => "rgba32float",
            (Element::F32, _) => "r32float",
            (Element::U32, 4) => "rgba32uint",
            (Element::U32, _) => "r32uint",
        }
    }

    fn bytes(self) -> u32 {
        4 * self.width as u32
    }

    /// Rows of a texture that holds so many bytes.
    ///
    /// # Errors
    /// The adapter allows no such texture.
    pub fn check_rows(self, gpu: &GpuDevice, label: &str, bytes: u64) -> Result<u32> {
        let (count, most) = (
            bytes / u64::from(self.bytes()),
            gpu.limits.max_texture_dimension_2d,
        );
        let rows = count.div_ceil(ROW.into()).max(1);
        u32::try_from(rows)
            .ok()
            .filter(|rows| *rows <= most)
            .ok_or_else(|| Error::TooLarge {
                needs: format!("`{label}` would take an image of {rows} rows"),
                allows: format!("the adapter allows {most}"),
                fits: "use a smaller one".into(),
            })
    }
}

/// A tensor's copy in an image.
pub struct Texels {
    texture: Texture,
    /// What is bound.
    pub view: TextureView,
    source: Buffer,
    /// Where the tensor starts in the buffer, in bytes.
    offset: u64,
    count: u32,
    texel: Texel,
}

impl Texels {
    /// Room for a copy of `bytes` bytes from `offset` on.
    ///
    /// # Errors
    /// The image would be larger than the adapter allows, or the adapter has no memory for it.
    pub fn new(
        gpu: &GpuDevice,
        label: &str,
        (source, offset, bytes): (&Buffer, u64, u64),
        texel: Texel,
    ) -> Result<Arc<Self>> {
        let count = (bytes / u64::from(texel.bytes())) as u32;
        let rows = texel.check_rows(gpu, label, bytes)?;
        let texture = gpu.device.create_texture(&TextureDescriptor {
            label: Some(label),
            size: Extent3d {
                width: ROW,
                height: rows,
                depth_or_array_layers: 1,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: TextureDimension::D2,
            format: texel.format(),
            usage: TextureUsages::STORAGE_BINDING | TextureUsages::COPY_DST,
            view_formats: &[],
        });
        gpu.check()?;
        Ok(Arc::new(Self {
            view: texture.create_view(&Default::default()),
            texture,
            source: source.clone(),
            offset,
            count,
            texel,
        }))
    }

    /// Copies the tensor as it is now: the full rows, and what is left.
    pub fn copy(&self, encoder: &mut CommandEncoder) {
        let (rows, rest) = (self.count / ROW, self.count % ROW);
        for (row, width, height) in [(0, ROW, rows), (rows, rest, 1)] {
            if width * height == 0 {
                continue;
            }
            let row_bytes = ROW * self.texel.bytes();
            encoder.copy_buffer_to_texture(
                TexelCopyBufferInfo {
                    buffer: &self.source,
                    layout: TexelCopyBufferLayout {
                        offset: self.offset + u64::from(row) * u64::from(row_bytes),
                        bytes_per_row: Some(row_bytes),
                        rows_per_image: None,
                    },
                },
                TexelCopyTextureInfo {
                    texture: &self.texture,
                    mip_level: 0,
                    origin: Origin3d { x: 0, y: row, z: 0 },
                    aspect: TextureAspect::All,
                },
                Extent3d {
                    width,
                    height,
                    depth_or_array_layers: 1,
                },
            );
        }
    }
}

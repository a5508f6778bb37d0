//! Copies of tensors in images, for adapters that read images faster.
//!
//! A software adapter runs eight invocations in the lanes of one register. It loads from a storage
//! buffer lane by lane, under the lane's mask and through the stack: 65 to 1,000 cycles for eight
//! vec4s. A load from a sampled texture is a call that saves all registers: 60 to 95 cycles. A load
//! from a read-only storage texture needs neither and takes some 20. A copy costs as much as a copy
//! in memory: 0.07 ms for the 1.4 MB of the lab network's largest tensor at batch 64.
//!
//! The copy is a table of vectors: vector `i` of the tensor is in row `i / ROW` and column
//! `i % ROW`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use wgpu::{
    Buffer, CommandEncoder, Extent3d, Origin3d, TexelCopyBufferInfo, TexelCopyBufferLayout,
    TexelCopyTextureInfo, Texture, TextureAspect, TextureDescriptor, TextureDimension,
    TextureUsages, TextureView,
};

use super::super::call::{ROW, Vector};
use super::super::device::GpuDevice;
use super::super::operand::Operand;
use crate::error::{Error, Result};

impl Vector {
    /// Size in bytes of an image that holds `bytes` bytes.
    pub fn image_bytes(self, bytes: u64) -> u64 {
        let row = u64::from(ROW * self.bytes());
        bytes.div_ceil(row).max(1) * row
    }

    /// Number of rows of a texture that holds `bytes` bytes.
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
                largest_batch: None,
            })
    }
}

/// A tensor's copy in an image.
pub struct ImageCopy {
    texture: Texture,
    /// The view to bind.
    pub view: TextureView,
    source: Buffer,
    /// Offset of the tensor in the buffer, in bytes.
    offset: u64,
    count: u32,
    vector: Vector,
}

impl ImageCopy {
    /// Allocates a copy of `bytes` bytes at `offset` of a buffer.
    ///
    /// # Errors
    /// The image would be larger than the adapter allows, or the adapter has no memory for it.
    pub fn new(
        gpu: &GpuDevice,
        label: &str,
        (source, offset, bytes): (&Buffer, u64, u64),
        vector: Vector,
    ) -> Result<Arc<Self>> {
        let count = (bytes / u64::from(vector.bytes())) as u32;
        let rows = vector.check_rows(gpu, label, bytes)?;
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
            format: vector.format(),
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
            vector,
        }))
    }

    /// Copies the tensor: the full rows, then the rest.
    pub fn copy(&self, encoder: &mut CommandEncoder) {
        let (rows, rest) = (self.count / ROW, self.count % ROW);
        for (row, width, height) in [(0, ROW, rows), (rows, rest, 1)] {
            if width * height == 0 {
                continue;
            }
            let row_bytes = ROW * self.vector.bytes();
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

/// The image copies that a list of dispatches reads.
#[derive(Default)]
pub struct ImageCopies {
    made: HashMap<(Operand, Vector), Arc<ImageCopy>>,
    /// The copies that are up to date at this point of the list.
    fresh: HashSet<(Operand, Vector)>,
}

impl ImageCopies {
    /// The copy of a part of a buffer, and whether it must be refreshed.
    ///
    /// # Errors
    /// See [`ImageCopy::new`].
    pub fn get(
        &mut self,
        gpu: &GpuDevice,
        key: (Operand, Vector),
        part: (&Buffer, u64, u64),
    ) -> Result<(Arc<ImageCopy>, bool)> {
        let copy = match self.made.get(&key) {
            Some(copy) => Arc::clone(copy),
            None => ImageCopy::new(gpu, "copy of a tensor", part, key.1)?,
        };
        self.made.insert(key, Arc::clone(&copy));
        Ok((copy, self.fresh.insert(key)))
    }

    /// Marks the copies of this operand as stale.
    pub fn written(&mut self, operand: Operand) {
        match operand {
            // Arenas are bound both whole and in parts.
            Operand::Params | Operand::Gradients => self.fresh.clear(),
            Operand::Partials(_) => {
                let partials = |other: &Operand| matches!(other, Operand::Partials(_));
                self.fresh.retain(|(other, _)| !partials(other));
            }
            _ => self.fresh.retain(|(other, _)| *other != operand),
        }
    }

    /// Marks all copies as stale.
    pub fn expire(&mut self) {
        self.fresh.clear();
    }
}

//! The contents of event files: messages of TensorFlow's `event.proto` and `summary.proto`, with
//! their names and field numbers.

use super::wire::Fields;

/// The content of a record.
pub(super) enum What {
    /// The version, in a file's first record.
    FileVersion(&'static str),
    /// The values of a step.
    Summary(Vec<SummaryValue>),
}

/// A named value of a step: a `Summary.Value`.
pub(super) struct SummaryValue {
    pub(super) tag: String,
    pub(super) kind: ValueKind,
}

/// What a summary's value is; the variants have the names of the message's fields.
pub(super) enum ValueKind {
    SimpleValue(f32),
    Image(Image),
    Histo(Histogram),
}

/// An image.
pub(super) struct Image {
    pub(super) height: usize,
    pub(super) width: usize,
    /// 1: grey, 3: RGB.
    pub(super) colorspace: usize,
    /// A PNG file.
    pub(super) encoded_image_string: Vec<u8>,
}

/// The distribution of values.
#[derive(Debug, PartialEq)]
pub(super) struct Histogram {
    min: f64,
    max: f64,
    num: f64,
    sum: f64,
    sum_squares: f64,
    /// The upper bound of each bucket.
    bucket_limit: Vec<f64>,
    bucket: Vec<f64>,
}

/// The `Event` of a step; `wall_time` is in seconds since 1970.
pub(super) fn event(wall_time: f64, step: i64, what: &What) -> Fields {
    let event = Fields::default().double(1, wall_time).int(2, step);
    match what {
        What::FileVersion(version) => event.bytes(3, version),
        What::Summary(values) => {
            let summary = Fields::default();
            let summary = (values.iter()).fold(summary, |s, value| s.message(1, &value.fields()));
            event.message(5, &summary)
        }
    }
}

impl SummaryValue {
    fn fields(&self) -> Fields {
        let value = Fields::default().bytes(1, &self.tag);
        match &self.kind {
            ValueKind::SimpleValue(number) => value.float(2, *number),
            ValueKind::Image(image) => value.message(4, &image.fields()),
            ValueKind::Histo(histogram) => value.message(5, &histogram.fields()),
        }
    }
}

impl Image {
    fn fields(&self) -> Fields {
        Fields::default()
            .int(1, self.height as i64)
            .int(2, self.width as i64)
            .int(3, self.colorspace as i64)
            .bytes(4, &self.encoded_image_string)
    }
}

/// Number of buckets of a histogram.
const BUCKETS: usize = 30;

impl Histogram {
    fn fields(&self) -> Fields {
        Fields::default()
            .double(1, self.min)
            .double(2, self.max)
            .double(3, self.num)
            .double(4, self.sum)
            .double(5, self.sum_squares)
            .doubles(6, &self.bucket_limit)
            .doubles(7, &self.bucket)
    }

    /// The histogram of the finite `values`, in buckets of equal width; `None` if there are none.
    pub(super) fn new(values: &[f32]) -> Option<Self> {
        let values: Vec<f64> = (values.iter().copied().filter(|v| v.is_finite()))
            .map(f64::from)
            .collect();
        let min = values.iter().copied().reduce(f64::min)?;
        let max = values.iter().copied().reduce(f64::max)?;
        let buckets = if min < max { BUCKETS } else { 1 };
        let width = (max - min) / buckets as f64;
        let mut bucket = vec![0.0; buckets];
        for value in &values {
            let place = if width > 0.0 {
                (value - min) / width
            } else {
                0.0
            };
            bucket[(place as usize).min(buckets - 1)] += 1.0;
        }
        let mut bucket_limit: Vec<f64> = (1..=buckets).map(|i| min + width * i as f64).collect();
        bucket_limit[buckets - 1] = max;
        Some(Self {
            min,
            max,
            num: values.len() as f64,
            sum: values.iter().sum(),
            sum_squares: values.iter().map(|v| v * v).sum(),
            bucket_limit,
            bucket,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_every_finite_value_once() {
        let values = [0.0, 1.0, 3.0, 3.0, f32::NAN, f32::INFINITY];
        let histogram = Histogram::new(&values).unwrap();
        assert_eq!((histogram.min, histogram.max), (0.0, 3.0));
        assert_eq!((histogram.num, histogram.sum), (4.0, 7.0));
        assert_eq!(histogram.sum_squares, 19.0);
        assert_eq!(histogram.bucket.iter().sum::<f64>(), 4.0);
        assert_eq!((histogram.bucket[0], histogram.bucket[29]), (1.0, 2.0));
        assert_eq!(histogram.bucket_limit[29], 3.0);
        assert_eq!(Histogram::new(&[f32::NAN]), None);
        assert_eq!(Histogram::new(&[2.0; 3]).unwrap().bucket, [3.0]);
    }
}

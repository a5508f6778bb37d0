//! Names of layers as attributes of a Python class.

use std::collections::HashSet;

/// Names that no attribute can have: Python's keywords, and what `torch.nn.Module` defines (2.15).
/// Those that start with an underscore are not listed.
const RESERVED: [&str; 89] = [
    // Python.
    "False",
    "None",
    "True",
    "and",
    "as",
    "assert",
    "async",
    "await",
    "break",
    "class",
    "continue",
    "def",
    "del",
    "elif",
    "else",
    "except",
    "finally",
    "for",
    "from",
    "global",
    "if",
    "import",
    "in",
    "is",
    "lambda",
    "nonlocal",
    "not",
    "or",
    "pass",
    "raise",
    "return",
    "try",
    "while",
    "with",
    "yield",
    // PyTorch.
    "T_destination",
    "add_module",
    "apply",
    "bfloat16",
    "buffers",
    "call_super_init",
    "children",
    "compile",
    "cpu",
    "cuda",
    "double",
    "dump_patches",
    "eval",
    "extra_repr",
    "float",
    "forward",
    "get_buffer",
    "get_extra_state",
    "get_parameter",
    "get_submodule",
    "half",
    "ipu",
    "load_state_dict",
    "modules",
    "mtia",
    "named_buffers",
    "named_children",
    "named_modules",
    "named_parameters",
    "parameters",
    "register_backward_hook",
    "register_buffer",
    "register_forward_hook",
    "register_forward_pre_hook",
    "register_full_backward_hook",
    "register_full_backward_pre_hook",
    "register_load_state_dict_post_hook",
    "register_load_state_dict_pre_hook",
    "register_module",
    "register_parameter",
    "register_state_dict_post_hook",
    "register_state_dict_pre_hook",
    "requires_grad_",
    "set_extra_state",
    "set_submodule",
    "share_memory",
    "state_dict",
    "to",
    "to_empty",
    "train",
    "training",
    "type",
    "xpu",
    "zero_grad",
];

/// The names as attributes: other characters than letters, digits and underscores become
/// underscores, and names that Python or PyTorch needs become `layer_NAME`. All are different.
pub(super) fn attributes<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut taken = HashSet::new();
    names
        .into_iter()
        .map(|name| {
            let attribute = unused(attribute(name), &taken);
            taken.insert(attribute.clone());
            attribute
        })
        .collect()
}

fn attribute(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let attribute: String = name.chars().map(plain).collect();
    let starts_well = attribute.starts_with(|c: char| c.is_ascii_alphabetic());
    if starts_well && !RESERVED.contains(&attribute.as_str()) {
        attribute
    } else {
        format!("layer_{attribute}")
    }
}

/// The name, or its first continuation by a number that is not taken.
fn unused(name: String, taken: &HashSet<String>) -> String {
    if !taken.contains(&name) {
        return name;
    }
    let numbered = (2..=taken.len() + 2).map(|i| format!("{name}_{i}"));
    let free = numbered.into_iter().find(|name| !taken.contains(name));
    free.unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_attributes() {
        let names = [
            "conv2d", "conv 1", "conv.1", "conv_1_2", "train", "3rd", "_hidden", "größe",
        ];
        let expected = [
            "conv2d",
            "conv_1",
            "conv_1_2",
            "conv_1_2_2",
            "layer_train",
            "layer_3rd",
            "layer__hidden",
            "gr__e",
        ];
        assert_eq!(attributes(names), expected);
    }

    #[test]
    fn all_are_different() {
        let names = ["a", "a_2", "a.2", "layer_to", "to"];
        let attributes = attributes(names);
        let different: HashSet<_> = attributes.iter().collect();
        assert_eq!(different.len(), names.len(), "{attributes:?}");
    }
}

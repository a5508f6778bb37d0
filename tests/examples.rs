//! The examples run, and reach what they say.

#[path = "../examples/image_folder.rs"]
mod image_folder;
#[path = "../examples/on_the_fly.rs"]
mod on_the_fly;

#[test]
fn a_data_set_made_on_the_fly_is_learnt() {
    on_the_fly::main().unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_folder_of_colour_pictures_is_learnt() {
    image_folder::main().unwrap_or_else(|error| panic!("{error}"));
}

//! Any bytes as a file: planned, every stub made, every symbol named.
#![no_main]

use ia2_plan::image::Image;
use ia2_plan::{plan::plan, stub};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(image) = Image::from_file(bytes) else { return };
    let plan = plan(&image);
    assert!(plan.sites.len() + plan.hidden.len() <= plan.candidates);
    for site in &plan.sites {
        if let Ok(patch) = &site.outcome {
            let _ = stub::emit(patch, site, 0x7f00_0000_0000, 0x7f00_0100_0000);
            let _ = stub::writes(patch, 0x7f00_0000_0000, 0x7f00_0100_0000);
        }
    }
    for symbol in image.symbols().take(1000) {
        let _ = image.name(&symbol);
    }
});

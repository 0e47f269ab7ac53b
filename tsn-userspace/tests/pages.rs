//! The pages that tell an operator what to write show configurations that are right.

use tsn_userspace::config::Configuration;

const PAGES: [(&str, &str); 5] = [
    ("README.md", include_str!("../../README.md")),
    ("docs/dpdk.md", include_str!("../../docs/dpdk.md")),
    ("docs/overlay.md", include_str!("../../docs/overlay.md")),
    ("docs/ovs-dpdk.md", include_str!("../../docs/ovs-dpdk.md")),
    (
        "docs/vhost-user.md",
        include_str!("../../docs/vhost-user.md"),
    ),
];
/// What a block that only shows another part is completed with.
const UPLINK: &str = "uplinks: [{ device: eth1 }]\n";

fn yaml_blocks(page: &str) -> impl Iterator<Item = &str> {
    page.split("```yaml\n").skip(1).map(|after| {
        let (block, _) = after.split_once("```").expect("a block ends");
        block
    })
}

#[test]
fn every_configuration_that_a_page_shows_is_taken() {
    for (name, page) in PAGES {
        let mut blocks = 0;
        for block in yaml_blocks(page) {
            blocks += 1;
            let whole = match block.contains("uplinks:") {
                true => block.to_owned(),
                false => format!("{UPLINK}{block}"),
            };
            if let Err(error) = Configuration::from_yaml(&whole) {
                panic!("{name}: {error}\n{whole}");
            }
        }
        assert!(blocks > 0, "{name} shows none");
    }
}

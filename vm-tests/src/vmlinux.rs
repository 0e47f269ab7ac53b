//! Cutting the ELF image out of a kernel's boot image: QEMU starts it at once, while the boot image would first decompress
//! itself in the guest, which takes seconds under emulation.
//!
//! The header is that of the kernel's `Documentation/arch/x86/boot.rst`.

use std::{
    io::Write,
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context, Result, bail, ensure};

const MAGIC_OFFSET: usize = 0x202;
const MAGIC: &[u8] = b"HdrS";
/// How many sectors the real-mode part has, beside the boot sector; 0 means 4.
const SETUP_SECTORS_OFFSET: usize = 0x1f1;
const SECTOR_BYTES: usize = 512;
/// Of the compressed image, from the end of the real-mode part.
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;

/// The ELF image in a boot image.
pub fn cut_out(boot_image: &[u8]) -> Result<Vec<u8>> {
    let payload = payload(boot_image)?;
    let command: &[&str] = match payload {
        [0xfd, b'7', b'z', ..] => &["xz", "--decompress", "--stdout", "--single-stream"],
        [0x28, 0xb5, 0x2f, 0xfd, ..] => &["zstd", "--decompress", "--stdout", "--quiet"],
        [0x02, 0x21, 0x4c, 0x18, ..] => &["lz4", "--decompress", "--stdout", "--quiet"],
        _ => bail!(
            "the kernel is compressed neither with xz nor with zstd nor with lz4: it begins with {:02x?}",
            &payload[..payload.len().min(4)]
        ),
    };
    let image = decompress(command, payload)?;
    ensure!(
        image.starts_with(b"\x7fELF"),
        "what the boot image contains is no ELF image"
    );
    Ok(image)
}

fn payload(boot_image: &[u8]) -> Result<&[u8]> {
    let magic = boot_image.get(MAGIC_OFFSET..MAGIC_OFFSET + MAGIC.len());
    ensure!(
        magic == Some(MAGIC),
        "not a boot image: no `HdrS` at {MAGIC_OFFSET:#x}"
    );
    let sectors = match boot_image[SETUP_SECTORS_OFFSET] {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let offset = (sectors + 1) * SECTOR_BYTES + word(boot_image, PAYLOAD_OFFSET)?;
    let length = word(boot_image, PAYLOAD_LENGTH)?;
    boot_image.get(offset..offset + length).with_context(|| {
        format!("the boot image ends before its payload of {length} bytes at {offset:#x}")
    })
}

fn word(bytes: &[u8], offset: usize) -> Result<usize> {
    let word = bytes
        .get(offset..)
        .and_then(|rest| rest.first_chunk())
        .with_context(|| format!("the boot image ends before {offset:#x}"))?;
    Ok(usize::try_from(u32::from_le_bytes(*word))?)
}

/// The output of a command that reads these bytes. That it does not like what follows them is no failure if it gave
/// something: the kernel's payload ends with four bytes of its own.
pub fn decompress(command: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    let program = command[0];
    let mut child = Command::new(program)
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("start {program}; `cargo xtask setup --vm` installs it"))?;
    let mut stdin = child.stdin.take().context("its input")?;
    let output = thread::scope(|scope| {
        // It may end before it has read all, which is no failure either.
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output()
    })?;
    ensure!(
        !output.stdout.is_empty(),
        "{program} gives nothing: {}",
        output.status
    );
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ELF: &[u8] = b"\x7fELF and the rest";

    fn boot_image(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 3 * SECTOR_BYTES];
        image[SETUP_SECTORS_OFFSET] = 1;
        image[MAGIC_OFFSET..MAGIC_OFFSET + 4].copy_from_slice(MAGIC);
        image[PAYLOAD_OFFSET..PAYLOAD_OFFSET + 4].copy_from_slice(&512_u32.to_le_bytes());
        let length = u32::try_from(payload.len()).unwrap();
        image[PAYLOAD_LENGTH..PAYLOAD_LENGTH + 4].copy_from_slice(&length.to_le_bytes());
        image.extend_from_slice(payload);
        image
    }

    fn compressed(command: &[&str]) -> Vec<u8> {
        let mut bytes = decompress(command, ELF).unwrap();
        bytes.extend_from_slice(&17_u32.to_le_bytes());
        bytes
    }

    #[test]
    fn each_compression_is_undone_with_the_length_behind_it() {
        // As the kernel's build calls them.
        for compress in [["xz", "--stdout"], ["zstd", "--stdout"], ["lz4", "-l"]] {
            let image = boot_image(&compressed(&compress));
            assert_eq!(cut_out(&image).unwrap(), ELF);
        }
    }

    #[test]
    fn what_is_no_boot_image_is_refused_with_the_reason() {
        let error = |image: &[u8]| cut_out(image).unwrap_err().to_string();
        assert!(error(b"").contains("HdrS"));
        assert!(
            error(&boot_image(b"\x1f\x8b")).contains("neither with xz nor with zstd nor with lz4")
        );
        let mut short = boot_image(b"");
        short[PAYLOAD_LENGTH] = 9;
        assert!(error(&short).contains("ends before its payload of 9 bytes"));
        let other = decompress(&["xz", "--stdout"], b"no ELF").unwrap();
        assert!(error(&boot_image(&other)).contains("no ELF image"));
    }
}

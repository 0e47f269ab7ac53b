//! The pool of frame buffers, without hugepages. One EAL in a process, so one test in this file.

use tsn_dpdk::{Eal, EalConfig, EalError, Hugepages, Mempool, PoolConfig};
use tsn_port::Frame;

#[test]
fn a_pool_gives_each_buffer_once() {
    let config = EalConfig {
        hugepages: Hugepages::None,
        memory_mib: 64,
        file_prefix: "tsn-dpdk-pool".into(),
        pci_devices: Vec::new(),
    };
    let too_much = EalConfig {
        hugepages: Hugepages::Size1Gb,
        memory_mib: 1 << 20,
        ..config.clone()
    };
    let refused = Eal::init(&too_much).unwrap_err().to_string();
    assert!(
        refused.contains("1048576 MiB in hugepages of 1048576 KiB"),
        "{refused}"
    );

    let eal = Eal::init(&config).unwrap();
    let again = Eal::init(&config).unwrap_err();
    assert!(matches!(again, EalError::Again), "{again}");

    let pool_config = PoolConfig {
        name: "frames".into(),
        frames: 1000,
        frame_bytes: 2048,
        numa_node: None,
    };
    let pool = Mempool::new(eal, &pool_config).unwrap();
    let taken = Mempool::new(eal, &pool_config).unwrap_err().to_string();
    assert!(taken.contains("File exists"), "{taken}");
    let too_many = PoolConfig {
        name: "more".into(),
        frames: 1_000_000,
        ..pool_config
    };
    let refused = Mempool::new(eal, &too_many).unwrap_err().to_string();
    assert!(
        refused.contains("no memory for 1000000 frame buffers"),
        "{refused}"
    );
    assert_eq!(pool.free_frames(), 1000);
    assert_eq!(pool.frame_bytes(), 2048);
    assert!(
        pool.allocate(2049).is_none(),
        "longer than the longest frame"
    );

    let layout = pool.layout();
    let memory = pool.memory();
    assert!(
        memory.len() >= 1000 * layout.chunk_bytes as usize,
        "{} bytes for 1000 chunks of {layout:?}",
        memory.len()
    );
    let mut frames: Vec<_> = std::iter::from_fn(|| pool.allocate(2048)).collect();
    assert_eq!(frames.len(), 1000);
    assert_eq!(pool.free_frames(), 0);
    for (index, frame) in frames.iter_mut().enumerate() {
        frame.bytes_mut().fill(index as u8);
    }
    for (index, frame) in frames.iter().enumerate() {
        let bytes = frame.bytes();
        assert!(
            memory.contains(&bytes.as_ptr().addr())
                && memory.contains(&(bytes.as_ptr().addr() + bytes.len() - 1)),
            "frame {index} lies outside of the pool's memory"
        );
        assert!(
            bytes.iter().all(|&byte| byte == index as u8),
            "frame {index} shares its buffer"
        );
    }
    drop(frames);
    assert_eq!(pool.free_frames(), 1000);
    assert_eq!(pool.frames_in_use(), 0);
}

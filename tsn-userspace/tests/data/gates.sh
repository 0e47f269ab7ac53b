tc qdisc replace dev eth1 parent root handle 100 taprio \
    num_tc 3 \
    map 0 1 2 0 0 0 0 0 0 0 0 0 0 0 0 0 \
    queues 1@0 1@1 1@2 \
    base-time 1700000000250000000 \
    sched-entry S 04 300000 \
    sched-entry S 02 200000 \
    sched-entry S 03 499500 \
    sched-entry S 00 500 \
    cycle-time 1000000 \
    cycle-time-extension 100000 \
    max-sdu 1500 0 200 \
    clockid CLOCK_TAI

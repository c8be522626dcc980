"""What against_qemu is made of.

    peers    QEMU and multifdd behind one interface, on the same guest RAM
    raw      the bare device and the bare memory: what neither can beat
    plan     which measurements there are
    report   medians, ratios, the table, JSON
    plot     the SVG
"""

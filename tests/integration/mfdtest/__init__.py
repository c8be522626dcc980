"""What the integration and component tests share.

    env      what ctest hands over: programs, golden files, scratch folder
    qmp      a QMP client that passes descriptors
    manager  plays systemd to multifdd: passed sockets, notices, the journal
    fdstore  a service manager with a descriptor store, and a guest that outlives its process
    process  multifdd or QEMU as a child process, its log kept
    ram      guest RAM as shared memory files that a test can fill and read
    golden   the recorded samples, unpacked on demand
    migrate  one save or one load, from the capabilities to the final state
    live     guests that write while they are saved
    stream   an independent reader of the file format
    runner   test case, table of records, exit status for ctest

The tests never wait a fixed time for something to happen: they wait for an event or poll for a
condition, and fail at a deadline.
"""

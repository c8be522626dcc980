"""Saves, restores, cancels and faults at random for as long as one likes, against one daemon.

    cli         the command line
    run         the loop
    context     what all operations use: the daemon under test, the folders, the last good file
    plan        a save with all its settings, drawn at random
    saving      one save from its plan to its end
    saves       operations that save: stopped, live, cancelled, held up
    restores    operations that restore: into a fresh daemon, from there again, of damaged files
    faults      operations on a disk that fails
    mistakes    commands that are refused
    footprint   what the daemon occupies, sampled and judged
    report      counts and tables
"""

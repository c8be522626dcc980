# mfd_python_test(NAME LABEL FILE SECONDS [ARGUMENT...]): a test in Python, one case of ctest. SECONDS
# is how long it may take on a slow machine. A test that cannot run here says why and is shown as
# skipped.
find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)
set(MFD_PYTHON_TEST_PATH ${CMAKE_CURRENT_LIST_DIR}/..)

function(mfd_python_test name label file seconds)
    add_test(NAME ${label}:${name}
             COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/${file} ${ARGN})
    set(environment
        MFD_SHARED_DIR=${MFD_SHARED_DIR}
        MFD_SCRATCH_DIR=${CMAKE_CURRENT_BINARY_DIR}/scratch
        PYTHONPATH=${MFD_PYTHON_TEST_PATH}
        PYTHONDONTWRITEBYTECODE=1
        MFD_DAEMON=$<TARGET_FILE:multifdd>
        MFD_CTL=$<TARGET_FILE:multifdctl>)
    set_tests_properties(${label}:${name} PROPERTIES
        LABELS ${label} TIMEOUT ${seconds} SKIP_RETURN_CODE 77 ENVIRONMENT "${environment}")
endfunction()

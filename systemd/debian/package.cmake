# cpack -G DEB in the build folder makes the Debian package.
set(CPACK_PACKAGE_NAME multifdd)
set(CPACK_PACKAGE_CONTACT "multifdd maintainers <maintainers@multifdd.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Migration daemon for the RAM of guests")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "Owns or maps the RAM of a guest, speaks QEMU's control protocol, and saves and
 restores that RAM in QEMU's file format mapped-ram with multifd channels. One
 instance of a systemd unit for each guest.")
set(CPACK_GENERATOR DEB)
# With a staging folder the prefix is the real one, which the units name, and /etc is possible.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "systemd, procps")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    ${CMAKE_CURRENT_LIST_DIR}/conffiles ${CMAKE_CURRENT_LIST_DIR}/postinst
    ${CMAKE_CURRENT_LIST_DIR}/prerm ${CMAKE_CURRENT_LIST_DIR}/postrm)

configure_file(${CMAKE_CURRENT_LIST_DIR}/changelog.in changelog @ONLY)
execute_process(COMMAND ${GZIP} -9nkf ${CMAKE_CURRENT_BINARY_DIR}/changelog COMMAND_ERROR_IS_FATAL ANY)
install(FILES ${CMAKE_CURRENT_LIST_DIR}/copyright ${CMAKE_CURRENT_BINARY_DIR}/changelog.gz
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
include(CPack)

# `cpack` in a build that is configured with -DCMAKE_INSTALL_PREFIX=/usr (preset "package"): a Debian package of each
# component, in packages/.
find_program(LOAM_GZIP gzip)
if(NOT LOAM_GZIP)
    return()
endif()
set(LOAM_MAINTAINER "The loam authors <maintainers@loam.invalid>" CACHE STRING "Who the packages name as maintainer")
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME loam)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # each package has its own
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER ${LOAM_MAINTAINER})
set(CPACK_DEBIAN_PACKAGE_RELEASE 0.1) # before one of Debian's own, which begin with 1
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR})
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_POST_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/triggers_only.cmake)

set(LOAM_DEB_VERSION ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})
set(LOAM_DEB_LIBRARY libloam${PROJECT_VERSION_MAJOR})
string(TIMESTAMP LOAM_DEB_DATE "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(READ ${PROJECT_SOURCE_DIR}/LICENSE LOAM_LICENSE)
string(REGEX MATCH "Copyright \\(c\\) ([^\n]*)\n\n(.*)\n" LOAM_LICENSE "${LOAM_LICENSE}")
set(LOAM_COPYRIGHT ${CMAKE_MATCH_1})
string(REPLACE "\n\n" "\n.\n" LOAM_LICENSE "${CMAKE_MATCH_2}")
string(REPLACE "\n" "\n " LOAM_LICENSE " ${LOAM_LICENSE}")
configure_file(cmake/changelog.Debian.in deb/changelog.Debian @ONLY)
configure_file(cmake/copyright.in deb/copyright @ONLY)
configure_file(docs/loam.1 deb/loam.1 COPYONLY)
execute_process(COMMAND ${LOAM_GZIP} -9nf changelog.Debian loam.1 WORKING_DIRECTORY ${PROJECT_BINARY_DIR}/deb)
file(CONFIGURE OUTPUT deb/shlibs CONTENT "libloam ${PROJECT_VERSION_MAJOR} ${LOAM_DEB_LIBRARY} (>= ${PROJECT_VERSION})\n")
file(CONFIGURE OUTPUT deb/triggers CONTENT "activate-noawait ldconfig\n")

function(add_debian_package component name section depends what description)
    string(TOUPPER ${component} part)
    set(CPACK_DEBIAN_${part}_PACKAGE_NAME ${name} PARENT_SCOPE)
    set(CPACK_DEBIAN_${part}_PACKAGE_SECTION ${section} PARENT_SCOPE)
    set(CPACK_DEBIAN_${part}_PACKAGE_DEPENDS "${depends}" PARENT_SCOPE)
    set(CPACK_DEBIAN_${part}_DESCRIPTION "${what}
loam runs open-weight language models from GGUF files inside your own
program: one handle, a stable ABI, and a memory plan that is a promise.

${description}" PARENT_SCOPE)
    set(CPACK_COMPONENTS_ALL ${CPACK_COMPONENTS_ALL} ${component} PARENT_SCOPE)
    install(FILES ${PROJECT_BINARY_DIR}/deb/changelog.Debian.gz ${PROJECT_BINARY_DIR}/deb/copyright
            DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/${name} COMPONENT ${component} EXCLUDE_FROM_ALL)
endfunction()

set(same "${LOAM_DEB_LIBRARY} (= ${LOAM_DEB_VERSION})")
add_debian_package(library ${LOAM_DEB_LIBRARY} libs "" "library that runs language models from GGUF files"
                   "This package has the shared library.")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${PROJECT_BINARY_DIR}/deb/shlibs ${PROJECT_BINARY_DIR}/deb/triggers)
add_debian_package(headers libloam-dev libdevel "${same}, libpcre2-dev, libutf8proc-dev"
                   "library that runs language models from GGUF files (development)"
                   "This package has the headers, the static library, and the files for\npkg-config and CMake.")
if(TARGET loam_command)
    add_debian_package(command loam science "${same}" "run language models from GGUF files"
                       "This package has the loam command.")
    install(FILES ${PROJECT_BINARY_DIR}/deb/loam.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT command)
endif()
if(TARGET loam_openblas OR TARGET loam_vulkan)
    add_debian_package(backends libloam-backends libs "${same}"
                       "library that runs language models from GGUF files (backends)"
                       "This package has the modules: for OpenBLAS and for graphics cards.")
endif()
include(CPack)

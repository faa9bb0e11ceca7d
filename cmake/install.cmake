# What `cmake --install` and the Debian package hold: programs, spaces and devices, documentation, pages and completion.
# Nothing installed knows its prefix: programs find each other and their data by where they lie.
# The component "camera" is what a machine beside a camera needs of it, all by itself.
install(TARGETS glowworm glowworm-camera-sim RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT camera)
install(TARGETS glowworm-worker glowworm-scheduler RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY configs DESTINATION ${CMAKE_INSTALL_DATADIR}/glowworm COMPONENT camera)
install(FILES README.md LICENSE NOTICE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES NOTICE RENAME copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR})

# What the program says about itself, in the forms of man and bash.
set(told ${CMAKE_BINARY_DIR}/told)
file(MAKE_DIRECTORY ${told})
file(CONFIGURE OUTPUT ${told}/glowworm-worker.1 CONTENT ".so man1/glowworm.1\n")
add_custom_command(OUTPUT ${told}/glowworm.1 ${told}/glowworm-scheduler.1 ${told}/glowworm-camera-sim.1 ${told}/glowworm-campaign.5 ${told}/glowworm
  COMMAND glowworm help man > ${told}/glowworm.1
  COMMAND glowworm help man scheduler > ${told}/glowworm-scheduler.1
  COMMAND glowworm help man camera-sim > ${told}/glowworm-camera-sim.1
  COMMAND glowworm help man campaign > ${told}/glowworm-campaign.5
  COMMAND glowworm help completion > ${told}/glowworm
  DEPENDS glowworm VERBATIM)
add_custom_target(told ALL DEPENDS ${told}/glowworm.1 ${told}/glowworm-scheduler.1 ${told}/glowworm-camera-sim.1
  ${told}/glowworm-campaign.5 ${told}/glowworm)
install(FILES ${told}/glowworm.1 ${told}/glowworm-scheduler.1 ${told}/glowworm-worker.1 ${told}/glowworm-camera-sim.1
  DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${told}/glowworm-campaign.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
set(completions ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${told}/glowworm DESTINATION ${completions})
foreach(program scheduler camera-sim) # found by the program's name
  install(FILES ${told}/glowworm RENAME glowworm-${program} DESTINATION ${completions})
endforeach()

# cpack -G DEB. Libraries are found by dpkg-shlibdeps; mpirun is a program, which it cannot see.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "Glowworm maintainers <maintainers@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "trains a Once-For-All network and compiles sub-networks for a camera")
set(CPACK_PACKAGE_DESCRIPTION "One campaign file, one command: a supernet is trained and shrunk progressively, and the
sub-networks that fit a FLIR Firefly DL's time budget become bundles that it loads.")
set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS openmpi-bin)
include(CPack)

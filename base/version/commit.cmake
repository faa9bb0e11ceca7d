# Writes HEADER from the commit that SOURCE stands at.
execute_process(COMMAND git -C ${SOURCE} rev-parse --short=12 HEAD
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(commit "unknown commit")
else()
  execute_process(COMMAND git -C ${SOURCE} status --porcelain --untracked-files=no
    OUTPUT_VARIABLE changes ERROR_QUIET)
  if(changes)
    string(APPEND commit "-changed")
  endif()
endif()
file(CONFIGURE OUTPUT ${HEADER} CONTENT [[#define VERSION "@VERSION@"
#define COMMIT "@commit@"
#define LIBRARIES "@LIBRARIES@"
]] @ONLY)

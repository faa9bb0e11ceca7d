# Writes HEADER from the commit that SOURCE stands at: git's word where SOURCE is a checkout, not where it only lies in
# somebody's; else what `git archive` wrote into the file "archived".
execute_process(COMMAND git -C ${SOURCE} rev-parse --show-prefix
  OUTPUT_VARIABLE prefix OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
file(STRINGS ${SOURCE}/base/version/archived archived REGEX "^[0-9a-f]+$")
if(NOT failed AND prefix STREQUAL "")
  execute_process(COMMAND git -C ${SOURCE} rev-parse --short=12 HEAD
    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  execute_process(COMMAND git -C ${SOURCE} status --porcelain --untracked-files=no
    OUTPUT_VARIABLE changes ERROR_QUIET)
  if(changes)
    string(APPEND commit "-changed")
  endif()
elseif(archived)
  string(SUBSTRING ${archived} 0 12 commit)
else()
  set(commit "unknown commit")
endif()
file(CONFIGURE OUTPUT ${HEADER} CONTENT [[#define VERSION "@VERSION@"
#define COMMIT "@commit@"
#define LIBRARIES "@LIBRARIES@"
]] @ONLY)

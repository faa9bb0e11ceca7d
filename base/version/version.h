/* Which program this is: the commit it was built from and the libraries it was built with. Part of
 * every lineage. Any thread. */
#ifndef BASE_VERSION_VERSION_H
#define BASE_VERSION_VERSION_H

/* "0.1.0 (3f2a91c0d1e2)", with "-changed" behind the commit when files differed from it; "0.1.0
 * (unknown commit)" when built outside a git checkout. */
const char *version_text(void);
/* "libzmq 4.3.4\nlmdb 0.9.24\n...": one library a line. */
const char *version_libraries(void);

#endif

/**
 * What stands in for more machines on this one? Hosts in network namespaces, file systems of a size
 * of their own, and disks whose power can be cut.
 *
 * <p>It never starts a server.
 *
 * <p>Called by {@code bench} and {@code chaos}; runs programs of the operating system, as root.
 *
 * <p>Threading: each object is used by one thread, but what it reads of a host may be read by any.
 *
 * <p>Failure: CONFIGURATION where this user may not, or a program is missing; whatever was made is
 * removed at the end of this JVM, or by the next one that makes some.
 */
@NullMarked
package io.forebay.app.hosts;

import org.jspecify.annotations.NullMarked;

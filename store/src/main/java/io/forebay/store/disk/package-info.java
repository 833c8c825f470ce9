/**
 * How does a directory keep chunks? In preallocated segment files, with direct I/O and an index
 * that is rebuilt from them. The layouts are drawn in {@code docs/formats/segment.md}.
 *
 * <p>It never keeps a second copy of what the segments say, and never syncs unless asked.
 *
 * <p>Called through core's Volume port.
 *
 * <p>Threading: safe for all threads; I/O runs on the volume's own platform threads. Lock order:
 * the volume's lock, then an appender's.
 *
 * <p>Failure: NO_SPACE, IO_ERROR and CORRUPT with volume and path; a torn slot is a chunk that
 * never was.
 */
@NullMarked
package io.forebay.store.disk;

import org.jspecify.annotations.NullMarked;

/**
 * How is a local directory an object store? One file for each object, replaced by renaming.
 *
 * <p>It never leaves a file half written under an object's name.
 *
 * <p>Called through core's ObjectStore port.
 *
 * <p>Threading: for all threads and processes of one machine; a lock for each of 64 classes of
 * keys.
 *
 * <p>Failure: STORE_* with the directory, the key and what to check.
 */
@NullMarked
package io.forebay.backing.dir;

import org.jspecify.annotations.NullMarked;

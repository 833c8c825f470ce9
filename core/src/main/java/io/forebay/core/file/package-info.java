/**
 * What can one do with objects and buckets, whatever door one comes through? {@link
 * io.forebay.core.file.FileService} is the one service that all doors translate to.
 *
 * <p>It never knows HTTP, FUSE or any other protocol, nor where bytes lie: that is the
 * implementation's.
 *
 * <p>Called by the doors and the command line; implemented over the data path in node, over the
 * wire in client, and in memory here. It calls bytes, cluster, env, error and id.
 *
 * <p>Threading: blocking calls on virtual threads; a service is shared by all threads, a reader or
 * writer belongs to one at a time.
 *
 * <p>Failure: {@link io.forebay.core.error.ForebayException} with the code that the method names.
 * Any method may also fail with UNAVAILABLE, TIMEOUT, BUSY, CANCELLED or INTERNAL.
 */
@NullMarked
package io.forebay.core.file;

import org.jspecify.annotations.NullMarked;

/**
 * How does an S3 bucket hold objects? Amazon's, or one of anybody who speaks its protocol with
 * conditional writes, through the official SDK.
 *
 * <p>It never sends a change twice, and never believes an answer that is not the store's.
 *
 * <p>Opened by the factory, and loaded only then: the SDK is slow to start.
 *
 * <p>Threading: for all threads; blocking. The SDK's event loops move the bytes; a buffer is never
 * touched after the call that named it has returned.
 *
 * <p>Failure: as the port says; each message names the bucket, the key and the store's own code.
 */
@NullMarked
package io.forebay.backing.s3;

import org.jspecify.annotations.NullMarked;

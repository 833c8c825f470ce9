/**
 * How does somebody who speaks S3 use Forebay? A thin translation of S3's calls to {@link
 * io.forebay.core.file.FileService}.
 *
 * <p>It never decides where bytes lie, keeps no state of its own between requests, and never holds
 * a whole object.
 *
 * <p>Called by gateway.http, started by app; calls core.file, and gateway.http for the wire.
 *
 * <p>Threading: one virtual thread for each request; everything here is immutable, or belongs to
 * one request, or is an atomic counter.
 *
 * <p>Failure: S3's error XML. Faults carry the name and status of the one table ({@link
 * io.forebay.core.error.ErrorCode}); what only this protocol can get wrong is in {@link
 * io.forebay.gateway.s3.S3Code}. A body that breaks off, or whose signature or checksum is wrong,
 * publishes nothing.
 */
@NullMarked
package io.forebay.gateway.s3;

import org.jspecify.annotations.NullMarked;

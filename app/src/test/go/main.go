// Command s3-client writes to a node with the AWS SDK for Go, version 2, reads it back, lists it, is refused, and removes
// what it made. It sets nothing but where the node is (FOREBAY_S3_ENDPOINT); keys, region and the certificate that is
// trusted come from the SDK's own variables.
package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

const partBytes = 5 << 20

var (
	ctx      = context.Background()
	endpoint = os.Getenv("FOREBAY_S3_ENDPOINT")
	bucket   = aws.String("go-sdk")
	small    = []byte("some bytes")
	etag     = fmt.Sprintf(`"%x"`, md5.Sum(small))
	big      = make([]byte, 20<<20+17)
)

func main() {
	rand.New(rand.NewSource(3)).Read(big)
	client := connect()
	_ = must(client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket}))
	inOnePiece(client)
	inPartsOfOurOwn(client)
	inPartsOfTheSDK(client)
	lists(client)
	refusals(client)
	presigned(client)
	remove(client, "a/small", "big", "managed", "presigned")
	if strings.HasPrefix(endpoint, "https:") {
		trustsOnlyWhatItIsTold()
	}
	fmt.Println("go over", strings.SplitN(endpoint, ":", 2)[0], "is content")
}

func connect(options ...func(*config.LoadOptions) error) *s3.Client {
	loaded := must(config.LoadDefaultConfig(ctx, options...))
	return s3.NewFromConfig(loaded, func(o *s3.Options) {
		o.BaseEndpoint = &endpoint
		o.UsePathStyle = true // the node has an address, no name
	})
}

func inOnePiece(client *s3.Client) {
	put := must(client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("a/small"),
		Body: bytes.NewReader(small), Metadata: map[string]string{"mine": "yes"}}))
	require(*put.ETag == etag && *put.ChecksumCRC32 != "", "put answered %v %v", *put.ETag, put.ChecksumCRC32)
	require(bytes.Equal(get(client, "a/small", nil), small), "what came back is another")
	head := must(client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("a/small")}))
	require(*head.ContentLength == int64(len(small)) && head.Metadata["mine"] == "yes", "head answered %+v", head)
}

func inPartsOfOurOwn(client *s3.Client) {
	key := aws.String("big")
	upload := must(client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})).UploadId
	var parts []types.CompletedPart
	for number, part := range slices.Collect(slices.Chunk(big, partBytes)) {
		n := aws.Int32(int32(number + 1))
		sent := must(client.UploadPart(ctx, &s3.UploadPartInput{Bucket: bucket, Key: key, UploadId: upload, PartNumber: n,
			Body: bytes.NewReader(part)}))
		parts = append(parts, types.CompletedPart{PartNumber: n, ETag: sent.ETag, ChecksumCRC32: sent.ChecksumCRC32})
	}
	done := must(client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: bucket, Key: key,
		UploadId: upload, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}}))
	require(strings.HasSuffix(*done.ETag, `-5"`), "completed as %v", *done.ETag)
	require(bytes.Equal(get(client, "big", nil), big), "what came back is another")
	part := get(client, "big", aws.String("bytes=5242875-5242884"))
	require(bytes.Equal(part, big[5242875:5242885]), "a range is another")
	uploads := must(client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: bucket})).Uploads
	require(len(uploads) == 0, "uploads are left: %v", uploads)
}

func inPartsOfTheSDK(client *s3.Client) {
	manager := transfermanager.New(client)
	key := aws.String("managed")
	done := must(manager.UploadObject(ctx, &transfermanager.UploadObjectInput{Bucket: bucket, Key: key,
		Body: bytes.NewReader(big)}))
	require(strings.HasSuffix(*done.ETag, `-3"`), "completed as %v", *done.ETag)
	back := must(manager.GetObject(ctx, &transfermanager.GetObjectInput{Bucket: bucket, Key: key}))
	require(bytes.Equal(must(io.ReadAll(back.Body)), big), "what came back is another")
}

func lists(client *s3.Client) {
	// Of two keys a page, so that the second page is asked for.
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: bucket, MaxKeys: aws.Int32(2)})
	var keys []string
	for pages.HasMorePages() {
		for _, each := range must(pages.NextPage(ctx)).Contents {
			keys = append(keys, *each.Key)
		}
	}
	require(slices.Equal(keys, []string{"a/small", "big", "managed"}), "listed %v", keys)
}

func refusals(client *s3.Client) {
	_, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("missing")})
	refused(err, "NoSuchKey")
	_, err = client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("big"),
		Body: bytes.NewReader(small), IfNoneMatch: aws.String("*")})
	refused(err, "PreconditionFailed")
	_, err = client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("big"), IfMatch: aws.String(`"0"`)})
	refused(err, "PreconditionFailed")
	_ = must(client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("a/small"),
		Body: bytes.NewReader(small), IfMatch: &etag}))
	stranger := connect(config.WithCredentialsProvider(
		credentials.NewStaticCredentialsProvider(os.Getenv("AWS_ACCESS_KEY_ID"), "wrong", "")))
	_, err = stranger.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("c"), Body: bytes.NewReader(small)})
	refused(err, "SignatureDoesNotMatch")
}

func presigned(client *s3.Client) {
	browser := &http.Client{}
	if bundle := os.Getenv("AWS_CA_BUNDLE"); bundle != "" {
		pool := x509.NewCertPool()
		require(pool.AppendCertsFromPEM(must(os.ReadFile(bundle))), "no certificate in %v", bundle)
		browser.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	}
	presigner := s3.NewPresignClient(client)
	key := aws.String("presigned")
	put := must(presigner.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key}))
	request := must(http.NewRequest(put.Method, put.URL, bytes.NewReader(small)))
	require(must(browser.Do(request)).StatusCode == 200, "a presigned put was refused")
	link := must(presigner.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})).URL
	require(bytes.Equal(must(io.ReadAll(must(browser.Get(link)).Body)), small), "what came back is another")
	bent := must(browser.Get(strings.Replace(link, "/presigned?", "/big?", 1)))
	require(bent.StatusCode == 403, "a bent link was answered by %v", bent.Status)
}

func remove(client *s3.Client, keys ...string) {
	var all []types.ObjectIdentifier
	for _, key := range keys {
		all = append(all, types.ObjectIdentifier{Key: aws.String(key)})
	}
	gone := must(client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: all}}))
	require(len(gone.Errors) == 0 && len(gone.Deleted) == len(keys), "deleted %+v", gone)
	_ = must(client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: bucket}))
	_, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket})
	refused(err, "NoSuchBucket")
}

func trustsOnlyWhatItIsTold() {
	_ = os.Unsetenv("AWS_CA_BUNDLE")
	_, err := connect().ListBuckets(ctx, &s3.ListBucketsInput{})
	var unknown x509.UnknownAuthorityError
	require(errors.As(err, &unknown), "an unknown certificate was answered by %v", err)
}

func get(client *s3.Client, key string, byteRange *string) []byte {
	got := must(client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key, Range: byteRange}))
	defer got.Body.Close()
	return must(io.ReadAll(got.Body))
}

func refused(err error, code string) {
	var refusal smithy.APIError
	require(errors.As(err, &refusal) && refusal.ErrorCode() == code, "not %v: %v", code, err)
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func require(holds bool, message string, arguments ...any) {
	if !holds {
		panic(fmt.Sprintf(message, arguments...))
	}
}

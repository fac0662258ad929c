/* Every size that comes from outside has its cap here. */
#ifndef VN_UTIL_LIMITS_H
#define VN_UTIL_LIMITS_H

#define VN_MAX_MANIFEST (4u << 20)        /* distribution-spec: registries take at least 4 MB; field practice */
#define VN_MAX_CONFIG (8u << 20)          /* image configuration JSON */
#define VN_MAX_JSON_DEPTH 64              /* nesting of any JSON document */
#define VN_MAX_JSON_CONTAINERS (1u << 18) /* objects and arrays of one document: about 350 bytes of memory each */
#define VN_MAX_JSON_VALUES (1u << 21)     /* members and elements of one document */
#define VN_MAX_JSON_SIZE (1ll << 53)      /* largest whole number that every JSON reader keeps exact (RFC 8259, section 6) */
#define VN_MAX_LAYERS 1024                /* layers of one image (overlayfs stops far earlier) */
#define VN_MAX_INDEX_ENTRIES 1024         /* manifests of one index */
#define VN_MAX_PATH 4096                  /* bytes of a path in a layer, Linux PATH_MAX */
#define VN_MAX_XATTRS (256u << 10)        /* all extended attributes of one entry, names and values */
#define VN_MAX_ENTRIES 20000000u          /* entries of one layer */
#define VN_MAX_TAR_HEADERS (4u << 20)     /* all headers of one tar entry: long names, pax records, sparse map */
#define VN_MAX_HOLES (64ull << 30)        /* bytes of holes in all sparse files of one layer: they cost no input */
#define VN_MAX_BLOB (200ull << 30)        /* one blob; the largest that registries accept */
#define VN_DIFF_ID_CHECKED (16ll << 20)   /* compressed layers up to this size are checked against their diff_id as well */
#define VN_MAX_RATIO 200                  /* plain : compressed of a layer beyond VN_RATIO_FROM; gzip's own limit is 1,032 */
#define VN_RATIO_FROM (1ull << 30)        /* plain bytes below which the ratio is not looked at */
#define VN_MAX_ZSTD_WINDOW_LOG 27         /* 128 MiB, as the zstd command line's default for decoding */
#define VN_MAX_PACKAGE_DB (96u << 20)     /* dpkg status, apk installed, rpm database: read whole */
#define VN_MAX_FACTS (64u << 20)          /* packages and model facts of one layer */
#define VN_MAX_PACKAGE_JSON (32u << 20)   /* one file of conda-meta, which lists every file of the package */
#define VN_MAX_PACKAGE_FIELD 512          /* name, version or architecture of a package, with its NUL */
#define VN_MAX_PACKAGES 500000            /* packages of one database */
#define VN_MAX_RPM_HEADER (64u << 20)     /* one package header; the largest in use have a few MB */
#define VN_MAX_RPM_TAGS 65535             /* index entries of a package header, as rpm's own HEADER_TAGS_MAX */
#define VN_MAX_SQLITE_STEPS 20000000      /* virtual machine steps for one rpm database; a real one takes about 20 per package */
#define VN_MAX_MODEL_MAP (4ull << 30)     /* model files are looked into up to this size */
#define VN_MAX_MODEL_STEPS (4u << 20)     /* tensors, opcodes, members looked at in one model file */
#define VN_MAX_MODEL_DEPTH 32             /* nested graphs, arrays of arrays */
#define VN_MAX_MODEL_HEADER (4u << 20)    /* JSON header of a safetensors file; larger ones are not read */
#define VN_MAX_MODEL_TENSORS 65536        /* tensors of one file that are paired with those of another */
#define VN_MAX_PICKLE_MEMO 65536          /* memo entries that a walk over a pickle remembers */
#define VN_MAX_TOKEN_BODY (1u << 20)      /* reply of a token server */
#define VN_MAX_ERROR_BODY (64u << 10)     /* error reply of a registry */
#define VN_MAX_HEADER (64u << 10)         /* one HTTP header line */
#define VN_MAX_HEADERS (256u << 10)       /* all header lines of one HTTP response */
#define VN_MAX_URL (32u << 10)            /* one URL; signed storage URLs run to a few KB */
#define VN_MAX_REDIRECTS 8                /* hops of one request */
#define VN_MAX_RETRY_AFTER 300            /* seconds that a server may ask to be waited for */
#define VN_MAX_TLS_FILE (8u << 20)        /* CA bundle */
#define VN_MAX_AUTHFILE (4u << 20)        /* Docker or containers credential file */
#define VN_MAX_HELPER_REPLY (1u << 20)    /* what a credential helper prints */
#define VN_MAX_MEMORY (1u << 20)          /* what a device remembers of its registries: everything at its largest fits */
#define VN_MAX_MEMORY_TEXT (22u << 10)    /* one token or session in it; a session with its certificate has 2 to 4 KB */
#define VN_MAX_MEMORY_KEY (2u << 10)      /* any other text in it */
#define VN_MAX_TAGS 100000                /* tags listed of one repository */
#define VN_MAX_REFERRERS 10000            /* manifests listed that refer to one image */
#define VN_MAX_POLICY (1u << 20)          /* policy file */
#define VN_MAX_POLICY_RULES 4096          /* paths, and rules, in it */
#define VN_MAX_SOURCE_FILES 10000         /* dependency files changed between two revisions */
#define VN_MAX_SOURCE_FILE (16 << 20)     /* one of them; beyond, its lines are not counted */
#define VN_MAX_SOURCE_LINES 200           /* changed lines kept of one of them */
#define VN_MAX_SOURCE_LINE 400            /* bytes kept of such a line */
#define VN_MAX_ARCHIVE_JSON (4u << 20)    /* manifest.json, index.json of an archive */
#define VN_MAX_ARCHIVE_MEMBERS 100000     /* members of an archive that holds images */
#define VN_MAX_ENGINE_JSON (16u << 20)    /* one reply of a container engine: inspect, list, progress of a load */
#define VN_MAX_COMMAND_ERRORS (64u << 10) /* what an engine's command says on stderr; the last of it is kept */
#define VN_MAX_ENDPOINT_WORDS 32          /* arguments in the endpoint of an engine that is a command */
#define VN_MAX_STORE_LAYERS (64u << 20)   /* layers.json of containers/storage, about 600 bytes for each layer */
#define VN_MAX_DEEP_NAMES (256u << 20)    /* paths of the layers whose files are compared with an engine's */
#define VN_MAX_TREE_PATHS (4u << 20)      /* paths of one layer that is unpacked into a folder: 32 bytes of memory each */
#define VN_MAX_TREE_DIRS (64u << 20)      /* bytes of names of directories that wait for their times and modes meanwhile */
#define VN_MAX_TREE_RECORD (1u << 20)     /* what is written down of one unpacked image */
#define VN_MAX_TREES 4096                 /* unpacked images in one folder */
#define VN_MAX_DELTA_MEMORY (256u << 20)  /* heap that a delta may ask for unless the caller says less */
#define VN_MAX_DELTA_TABLE (64u << 20)    /* the list of files and layers in front of an image's delta */
#define VN_MAX_DELTA_FILES (1u << 20)     /* files of the source image that it is made from */
#define VN_MAX_TARDIFF_MEMORY (1184u << 20) /* likewise a tar-diff: dictionary and window of 512 MiB each, 128 MiB for the stream */
#define VN_MAX_TARDIFF_IDLE (64u << 20)   /* bytes of its operations beyond 16 for each byte of the tar */
#define VN_MAX_TARDIFF_OPENS (1u << 16)   /* files that it opens beyond one for 512 bytes of the tar */
#define VN_MAX_TARDIFF_DICTS (16ull << 30) /* bytes of its dictionaries beyond 16 for each byte of the tar */
#define VN_MAX_DELTA_UNPACKED (4ull << 30)  /* a file whose deflate streams a delta unpacks, on a disk of the device */
#define VN_MAX_JOURNAL (4u << 20)         /* the device's journal */
#define VN_MAX_ARCHIVE_PAX (1u << 20)     /* extended header of one such member */
#define VN_MAX_KEY_FILE (64u << 10)       /* PEM file of keys, file of a passphrase */
#define VN_MAX_PUBLIC_KEYS 32             /* keys that a signature may be by */
#define VN_MAX_SCRYPT_MEMORY (160u << 20) /* for opening a private key: 128 MiB and a little at the strongest setting in use */
#define VN_MAX_SIGNATURES 256             /* signatures looked at of one image, in each form */
#define VN_MAX_SIGNED_TEXT (64u << 10)    /* what is signed: a payload or a statement */
#define VN_MAX_SIGNATURE_TEXT 4096        /* base64 of one signature; RSA with 4,096 bits takes 684 */
#define VN_MAX_BUNDLE (256u << 10)        /* one Sigstore bundle, with entries of a transparency log */
#define VN_MAX_SUBJECTS 64                /* of one in-toto statement */
#endif

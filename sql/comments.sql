-- Every object of the extension has a comment.

SELECT pg_describe_object(classid, objid, objsubid) AS without_comment FROM pg_depend d
WHERE refclassid = 'pg_extension'::regclass AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'qvec') AND deptype = 'e'
    AND NOT EXISTS (SELECT FROM pg_description c WHERE c.classoid = d.classid AND c.objoid = d.objid)
    AND NOT (classid = 'pg_type'::regclass AND (SELECT typelem <> 0 OR typtype = 'c' FROM pg_type t WHERE t.oid = objid))
ORDER BY 1;
